import { hash } from 'node:crypto'
import { type Clock, type Listener, type Logger, messageOf } from '../../shared/platform/index.ts'
import type { Peer } from './model.ts'
import { buildRouteTable, type RouteQuery } from './route-table.ts'

export interface PeerDirectoryOptions {
  /** All peers of all tenants. */
  loadPeers: () => Promise<readonly Peer[]>
  listener: Pick<Listener, 'listen'>
  /** Where changes of peers are announced. */
  channel: string
  clock: Clock
  log: Logger
}

/** Peers, routes and tokens in memory: packets ask the database for nothing. */
export interface PeerDirectory {
  findRoute(query: RouteQuery): Peer | undefined
  findPeer(id: string): Peer | undefined
  /** By the bearer token of a request. */
  findPeerByToken(token: string): Promise<Peer | undefined>
  /** By the hex SHA-256 of its token, among those that are loaded. */
  findPeerByTokenHash(tokenHash: string): Peer | undefined
  readonly size: number
  close(): Promise<void>
}

/** A notification can be missed while the listener connects: what changed then is seen after this time at the latest. */
const RELOAD_MS = 30_000
const RETRY_MS = 1_000

/** Loads all peers; fails when that fails. Afterwards changes arrive by notification, revoked tokens among them. */
export async function createPeerDirectory(options: PeerDirectoryOptions): Promise<PeerDirectory> {
  const { log } = options
  let table = buildRouteTable([])
  let loading: Promise<void> | undefined
  let loadAgain = false
  let closed = false
  let retry: NodeJS.Timeout | undefined
  let soughtAtMs = Number.NEGATIVE_INFINITY

  const load = async (): Promise<void> => {
    do {
      loadAgain = false
      table = buildRouteTable(await options.loadPeers())
    } while (loadAgain && !closed)
  }

  /** One load at a time; a change during it makes another, because the first may have read too early. */
  const reload = (): Promise<void> => {
    if (loading) loadAgain = true
    loading ??= load().finally(() => {
      loading = undefined
    })
    return loading
  }

  const reloadLater = () => {
    if (closed) return
    reload().catch((error: unknown) => {
      log.warn({ reason: messageOf(error) }, 'peers cannot be loaded; the known ones stay')
      clearTimeout(retry)
      retry = setTimeout(reloadLater, RETRY_MS)
      retry.unref()
    })
  }

  options.listener.listen(options.channel, reloadLater)
  await reload()
  const interval = setInterval(reloadLater, RELOAD_MS)
  interval.unref()

  return {
    findRoute: (query) => table.findRoute(query),
    findPeer: (id) => table.findPeer(id),
    findPeerByTokenHash: (tokenHash) => table.findPeerByTokenHash(tokenHash),
    async findPeerByToken(token) {
      const tokenHash = hash('sha256', token, 'hex')
      const peer = table.findPeerByTokenHash(tokenHash)
      // A peer that was made a moment ago: its notification is still on the way. Guessers do not get a load each.
      if (peer || options.clock.nowMs() - soughtAtMs < RETRY_MS) return peer
      soughtAtMs = options.clock.nowMs()
      await reload().catch((error: unknown) =>
        log.warn({ reason: messageOf(error) }, 'peers cannot be loaded'),
      )
      return table.findPeerByTokenHash(tokenHash)
    },
    get size() {
      return table.size
    },
    async close() {
      closed = true
      clearInterval(interval)
      clearTimeout(retry)
      await loading?.catch(() => undefined)
    },
  }
}
