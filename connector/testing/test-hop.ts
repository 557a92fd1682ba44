/** For tests: a next hop that answers packets as it is told, and a sender that speaks ILP over HTTP. Imported by tests only. */
import { hash, randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import {
  deserializePrepare,
  deserializeReply,
  type IlpPrepare,
  type IlpReply,
  serializePrepare,
  serializeReply,
} from '../packet/index.ts'

export interface HopRequest {
  prepare: IlpPrepare
  headers: IncomingHttpHeaders
  path: string
  /** Until the packet's expiry when it arrived. */
  leftMs: number
}

/** A Fulfill or Reject, raw bytes with a status, or nothing: the connection breaks. */
export type HopAnswer = IlpReply | { status: number; body: Buffer } | undefined

export interface TestHop {
  url: string
  requests: HopRequest[]
  close(): Promise<void>
}

export async function startTestHop(
  answer: (prepare: IlpPrepare) => HopAnswer | Promise<HopAnswer>,
): Promise<TestHop> {
  const requests: HopRequest[] = []
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const prepare = deserializePrepare(Buffer.concat(chunks))
      const leftMs = prepare.expiresAt.getTime() - Date.now()
      requests.push({ prepare, headers: incoming.headers, path: incoming.url ?? '', leftMs })
      Promise.resolve(answer(prepare)).then(
        (given) => {
          if (!given) response.destroy()
          else if ('status' in given) response.writeHead(given.status).end(given.body)
          else
            response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(serializeReply(given))
        },
        () => response.destroy(),
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/ilp/next`,
    requests,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

/** Fulfilments that whoever made the packet can know: the data is the fulfilment. */
export const fulfilWithData = (prepare: IlpPrepare): IlpReply => ({
  fulfillment: prepare.data.subarray(0, 32),
  data: Buffer.from('thanks'),
})

export const fulfilAfter =
  (milliseconds: number) =>
  async (prepare: IlpPrepare): Promise<IlpReply> => {
    await sleep(milliseconds)
    return fulfilWithData(prepare)
  }

/** A Prepare that {@link fulfilWithData} can fulfil. */
export function testPrepare(
  destination: string,
  fields: Partial<IlpPrepare> & { lifeMs?: number } = {},
): IlpPrepare {
  const { lifeMs = 20_000, ...rest } = fields
  const fulfillment = randomBytes(32)
  return {
    destination,
    amount: 10n,
    executionCondition: hash('sha256', fulfillment, 'buffer'),
    expiresAt: new Date(Date.now() + lifeMs),
    data: fulfillment,
    ...rest,
  }
}

export interface RawAnswer {
  status: number
  type: string | undefined
  body: Buffer
}

export async function postBytes(
  url: string,
  body: Buffer,
  headers: Record<string, string> = {},
  method: 'POST' | 'PUT' | 'GET' = 'POST',
): Promise<RawAnswer> {
  const response = await request(url, { method, headers, ...(method !== 'GET' && { body }) })
  const type = response.headers['content-type']
  return {
    status: response.statusCode,
    type: typeof type === 'string' ? type : undefined,
    body: Buffer.from(await response.body.arrayBuffer()),
  }
}

/** Sends a Prepare as a peer does and reads the answer. */
export async function postPrepare(url: string, token: string, prepare: IlpPrepare): Promise<IlpReply> {
  const { status, body } = await postBytes(url, serializePrepare(prepare), {
    authorization: `Bearer ${token}`,
    'content-type': 'application/octet-stream',
  })
  if (status !== 200) throw new Error(`HTTP ${status}: ${body.toString()}`)
  return deserializeReply(body)
}
