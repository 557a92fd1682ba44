import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../shared/testing/index.ts'

/** A PostgreSQL server of the test's own behind one address, which it keeps when the server is started again. */
export interface OwnPostgres {
  connectionString: string
  /** fast: as a restart for maintenance, transactions roll back and connections are told; kill: SIGKILL, and recovery afterwards. */
  leave(how: 'fast' | 'kill'): Promise<void>
  comeBack(): Promise<void>
  close(): Promise<void>
}

/** Commits wait for the disk, as in production: what was acknowledged is there afterwards. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'upesi-own-'))
  let server: EmbeddedPostgres | undefined = await startEmbeddedPostgres({ folder, durable: true })
  const { dataFolder } = server
  const sockets = new Set<Socket>()
  const front = createServer((client) => {
    if (!server) {
      client.destroy()
      return
    }
    const target = new pg.Client(server.connectionString('postgres'))
    const upstream = connect(`${target.host}/.s.PGSQL.${target.port}`)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    }
    client.pipe(upstream).pipe(client)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  const address = front.address()
  if (typeof address !== 'object' || address === null) throw new Error('a listening server has an address')
  const { user, password } = new pg.Client(server.connectionString('postgres'))
  return {
    connectionString: `postgresql://${user}:${encodeURIComponent(password ?? '')}@127.0.0.1:${address.port}/postgres`,
    async leave(how) {
      const leaving = server
      server = undefined
      if (how === 'kill' && leaving) process.kill(leaving.pid, 'SIGKILL')
      await leaving?.stop()
    },
    async comeBack() {
      server = await startEmbeddedPostgres({ folder, durable: true })
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => front.close(resolve))
      await server?.stop()
      for (const path of [dirname(dataFolder), folder]) rmSync(path, { recursive: true, force: true })
    },
  }
}
