/**
 * Ports for the listeners of development banks and of tests, which have to be known before their listeners start. Owns the
 * range below the one that systems give to outgoing connections, so that a port is also free at the next start. Always true: no
 * two living processes that choose here are given the same port.
 */

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

const PORT_MIN = 20_000
const PORT_MAX = 32_000
const ATTEMPTS_MAX = 500

/**
 * The claim on a port is a UDP socket of the same number, which nothing here uses otherwise: it keeps other processes away
 * before the TCP listener is there and while it restarts, and the system lets go of it when this process ends in whatever way.
 */
function claim(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', () => socket.close(() => resolve(false)))
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.unref()
      resolve(true)
    })
  })
}

/** Only asked about claimed ports: to look is to listen for a moment, which would disturb another's listener. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })
}

/** A port that nobody listens on, and that nobody else gets from here as long as this process lives. */
export async function choosePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const port = randomInt(PORT_MIN, PORT_MAX)
    if ((await claim(port)) && (await isFree(port))) return port
  }
  throw new Error(`no free port between ${PORT_MIN} and ${PORT_MAX} found`)
}
