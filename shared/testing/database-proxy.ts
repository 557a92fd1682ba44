import { connect, createServer, type Server, type Socket } from 'node:net'
import pg from 'pg'

/** Stands between a program and its database server, and fails as networks do. */
export interface DatabaseProxy {
  connectionString: string
  /** pass; lose: requests arrive and answers do not, and the connection ends; hold: nothing passes; refuse: nobody is there. */
  mode: 'pass' | 'lose' | 'hold' | 'refuse'
  /** How many requests reached the server whose answer was lost. */
  lost: number
  /** Nobody is there from now on, and open connections end. */
  cut(): void
  /** Open connections are forgotten without a word: whoever sends something over one hears that it is none. */
  forget(): void
  close(): Promise<void>
}

export async function startDatabaseProxy(connectionString: string): Promise<DatabaseProxy> {
  const target = new pg.Client(connectionString)
  const to = target.host.startsWith('/')
    ? { path: `${target.host}/.s.PGSQL.${target.port}` }
    : { host: target.host, port: target.port }
  const sockets = new Set<Socket>()
  const proxy: DatabaseProxy = {
    connectionString: '',
    mode: 'pass',
    lost: 0,
    cut: () => undefined,
    forget: () => undefined,
    close: async () => undefined,
  }
  const forgotten = new WeakSet<Socket>()
  const server: Server = createServer((client) => {
    if (proxy.mode === 'refuse') {
      client.destroy()
      return
    }
    const upstream = connect(to)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    client.on('close', () => upstream.end())
    upstream.on('close', () => client.destroy())
    client.on('data', (bytes) => {
      if (forgotten.has(client)) client.resetAndDestroy()
      else if (proxy.mode !== 'hold') upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      if (proxy.mode === 'pass') client.write(bytes)
      else if (proxy.mode === 'lose') {
        proxy.lost++
        proxy.mode = 'pass'
        client.destroy()
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  proxy.connectionString = `postgresql://${target.user}:${encodeURIComponent(target.password ?? '')}@127.0.0.1:${port}/${target.database}`
  proxy.cut = () => {
    proxy.mode = 'refuse'
    for (const socket of sockets) socket.destroy()
  }
  proxy.forget = () => {
    for (const socket of sockets) forgotten.add(socket)
  }
  proxy.close = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return proxy
}
