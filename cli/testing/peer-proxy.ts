import { once } from 'node:events'
import { createServer } from 'node:http'
import { request } from 'undici'

export type PeerBehaviour =
  | { kind: 'pass' }
  /** The connection breaks before an answer. */
  | { kind: 'down' }
  /** The request reaches the peer; its answer comes so much later. */
  | { kind: 'slow'; delayMs: number }
  /** The request reaches the peer and is answered, but the connection breaks before the answer has come through; so many times. */
  | { kind: 'losing'; answers: number }

export interface PeerProxy {
  url: string
  behave(behaviour: PeerBehaviour): void
  /** Packets that came by. */
  packets: number
  close(): Promise<void>
}

/** Stands between two connectors and misbehaves on demand. */
export async function startPeerProxy(target: () => string): Promise<PeerProxy> {
  let behaviour: PeerBehaviour = { kind: 'pass' }
  const proxy: PeerProxy = {
    url: '',
    packets: 0,
    behave: (next) => {
      behaviour = next
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  const server = createServer((incoming, outgoing) => {
    const forward = async () => {
      proxy.packets++
      const current = behaviour
      if (current.kind === 'down') {
        incoming.destroy()
        return
      }
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      const answer = await request(target(), {
        method: 'POST',
        headers: {
          authorization: incoming.headers.authorization ?? '',
          'content-type': incoming.headers['content-type'] ?? '',
        },
        body: Buffer.concat(chunks),
      })
      const body = Buffer.from(await answer.body.arrayBuffer())
      if (current.kind === 'losing' && current.answers > 0) {
        current.answers--
        outgoing.destroy()
        return
      }
      if (current.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, current.delayMs))
      outgoing.writeHead(answer.statusCode, answer.headers).end(body)
    }
    forward().catch(() => outgoing.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  proxy.url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  return proxy
}
