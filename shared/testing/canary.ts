import { createServer, type Socket } from 'node:net'

export interface Canary {
  port: number
  /** How often somebody connected, whatever was said then. */
  connections: number
  close(): Promise<void>
}

/** A listener on every address of this machine that nobody should connect to. */
export function startCanary(): Promise<Canary> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    canary.connections++
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.end()
  })
  const canary: Canary = {
    port: 0,
    connections: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, () => {
      const address = server.address()
      canary.port = typeof address === 'object' && address ? address.port : 0
      resolve(canary)
    })
  })
}
