import { createServer, type IncomingHttpHeaders } from 'node:http'

export interface ReceivedRequest {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: string
  atMs: number
}

export interface TestHttpServer {
  url: string
  /** In the order of arrival. */
  requests: ReceivedRequest[]
  close(): Promise<void>
}

/** What to answer; never resolving leaves the caller without an answer. Default 200 without a body. */
export type TestAnswer = (
  request: ReceivedRequest,
) => { status?: number; headers?: Record<string, string>; body?: string } | Promise<unknown> | undefined

/** A server on loopback that notes what it is sent and answers as told. */
export function startTestHttpServer(answer: TestAnswer = () => undefined): Promise<TestHttpServer> {
  const requests: ReceivedRequest[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const received = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        atMs: Date.now(),
      }
      requests.push(received)
      Promise.resolve(answer(received)).then(
        (result) => {
          const {
            status = 200,
            headers = {},
            body = '',
          } = (result ?? {}) as {
            status?: number
            headers?: Record<string, string>
            body?: string
          }
          response.writeHead(status, headers).end(body)
        },
        () => response.destroy(),
      )
    })
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      resolve({
        url: `http://127.0.0.1:${port}`,
        requests,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            server.closeAllConnections()
          }),
      })
    })
  })
}
