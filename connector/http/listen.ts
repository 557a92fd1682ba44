import { once } from 'node:events'
import type { Server } from 'node:http'

/** Listens on all addresses, both families where there are two, and returns the port. */
export async function listen(server: Server, port: number): Promise<number> {
  try {
    server.listen({ port, host: '::' })
    await once(server, 'listening')
  } catch (error) {
    // No IPv6 on this machine.
    if ((error as { code?: string }).code !== 'EAFNOSUPPORT') throw error
    server.listen({ port, host: '0.0.0.0' })
    await once(server, 'listening')
  }
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}
