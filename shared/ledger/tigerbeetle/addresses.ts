import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { messageOf } from '../../platform/index.ts'

/** One replica: where it is, by name or number. */
export interface ReplicaAddress {
  host: string
  port: number
}

/** What the client connects to when only a port is given. */
const LOOPBACK = '127.0.0.1'
/** A cluster has at most so many replicas. */
export const REPLICAS_MAX = 6

/** `port`, `host:port` or `[IPv6]:port`, in the order of the replicas. Throws an Error that says what is wrong. */
export function parseReplicaAddresses(text: string): ReplicaAddress[] {
  const items = text.split(',').map((item) => item.trim())
  if (items.length > REPLICAS_MAX) throw new Error(`names at most ${REPLICAS_MAX} replicas`)
  return items.map(parseAddress)
}

export interface TigerBeetleCluster {
  clusterId: bigint
  replicas: ReplicaAddress[]
}

const CLUSTER_ID_MAX = 2n ** 128n - 1n

/** Of the environment. Throws an Error that names the variable. */
export function parseTigerBeetleCluster(text: {
  clusterId: string
  replicaAddresses: string
}): TigerBeetleCluster {
  const clusterId = /^\d{1,39}$/.test(text.clusterId) ? BigInt(text.clusterId) : undefined
  if (clusterId === undefined || clusterId > CLUSTER_ID_MAX)
    throw new Error('TIGERBEETLE_CLUSTER_ID must be a whole number from 0 to 2^128 - 1')
  try {
    return { clusterId, replicas: parseReplicaAddresses(text.replicaAddresses) }
  } catch (error) {
    throw new Error(`TIGERBEETLE_REPLICA_ADDRESSES ${messageOf(error)}`)
  }
}

function parseAddress(text: string): ReplicaAddress {
  const match = /^(?:(?:\[([^\]]+)\]|([^:[\]\s]+)):)?(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port < 1 || port > 65_535) throw new Error('must be ports, host:port or [IPv6]:port')
  const [, six, host = LOOPBACK] = match
  if (six === undefined) return { host, port }
  if (isIP(six) !== 6) throw new Error('must have IPv6 addresses in brackets')
  return { host: six, port }
}

/** The client takes numbers only. Each name stands for one replica: of several addresses it has, one is taken. */
export const resolveReplicas = (replicas: readonly ReplicaAddress[]): Promise<string[]> =>
  Promise.all(
    replicas.map(async ({ host, port }) => {
      const { address, family } = isIP(host)
        ? { address: host, family: isIP(host) }
        : await lookup(host, { family: 4 })
      return family === 6 ? `[${address}]:${port}` : `${address}:${port}`
    }),
  )
