// Who may reach whom inside the network, in one table. Whatever is not in it is refused: no security group lets anything out or
// in by itself.
import { type IPeer, Peer, Port } from 'aws-cdk-lib/aws-ec2'
import { hasReplicas, portOf, type UpesiConfig } from '../config.ts'
import { PRIVATE_PORTS, roles } from '../roles.ts'

export const groupNames = [
  ...roles,
  'tigerbeetle',
  'database',
  'database-proxy',
  'auth-database',
  'auth-database-proxy',
  'cache',
  'private-listeners',
  'peers-listener',
  'clients',
  'endpoints',
] as const
export type GroupName = (typeof groupNames)[number]

/** A group, or an address outside: `anyone` on the internet, or a network of the operator's. */
export type End = GroupName | 'anyone' | { cidr: string }

export interface Way {
  from: End
  to: End
  port: number
  why: string
}

const POSTGRES = 5432
const VALKEY = 6379
export const HTTPS = 443
export const TIGERBEETLE_PORT = 3004

const resourceRoles = [
  'open-payments',
  'admin',
  'auto-peering',
  'webhooks',
  'payments',
  'relay',
  'connector',
] as const
const ways = (from: readonly End[], to: End, port: number, why: string): Way[] =>
  from.map((one) => ({ from: one, to, port, why }))

/** Every way that this installation has. */
export function traffic(config: UpesiConfig): Way[] {
  const { authCluster } = config.database
  const authProxy = authCluster === 'own' ? 'auth-database-proxy' : 'database-proxy'
  const callers: GroupName[] = [
    ...resourceRoles,
    'auth',
    'migrate',
    ...(hasReplicas(config) ? (['tigerbeetle'] as const) : []),
  ]
  const privateCallers: End[] = ['clients', ...config.network.clientCidrs.map((cidr) => ({ cidr }))]
  return [
    ...ways([...resourceRoles], 'database-proxy', POSTGRES, 'the resource database'),
    ...ways(['auth'], authProxy, POSTGRES, 'the authorization database'),
    ...ways(['database-proxy', 'migrate'], 'database', POSTGRES, 'the cluster itself'),
    ...(authCluster === 'own'
      ? ways(['auth-database-proxy', 'migrate'], 'auth-database', POSTGRES, 'the cluster itself')
      : []),
    ...(config.cache ? ways(['connector'], 'cache', VALKEY, 'limits and totals that connectors share') : []),
    ...ways(
      ['open-payments', 'admin', 'auto-peering', 'webhooks', 'payments'],
      'connector',
      portOf(config, 'CONNECTOR_RPC_PORT'),
      "the connector's RPC",
    ),
    ...ways(
      ['open-payments'],
      'private-listeners',
      PRIVATE_PORTS['auth-introspection'],
      'introspection of tokens',
    ),
    ...ways(
      ['admin'],
      'private-listeners',
      PRIVATE_PORTS['auth-service'],
      'tenants of the authorization server',
    ),
    ...ways(privateCallers, 'private-listeners', PRIVATE_PORTS.admin, 'the Admin API'),
    ...ways(privateCallers, 'private-listeners', PRIVATE_PORTS['auth-admin'], 'the Admin API of grants'),
    ...ways(privateCallers, 'private-listeners', PRIVATE_PORTS['auth-interaction'], 'the identity provider'),
    ...(config.urls.ilp
      ? [
          { from: 'anyone', to: 'peers-listener', port: HTTPS, why: 'peers post packets' } as const,
          {
            from: 'peers-listener',
            to: 'connector',
            port: portOf(config, 'CONNECTOR_PORT'),
            why: 'packets of peers',
          } as const,
        ]
      : []),
    ...(hasReplicas(config)
      ? [
          { from: 'connector', to: 'tigerbeetle', port: TIGERBEETLE_PORT, why: 'the ledger' } as const,
          {
            from: 'tigerbeetle',
            to: 'tigerbeetle',
            port: TIGERBEETLE_PORT,
            why: 'replicas among themselves',
          } as const,
        ]
      : []),
    ...ways(callers, 'anyone', HTTPS, 'peers, wallets and other banks, and the APIs of AWS'),
    ...(config.network.interfaceEndpoints ? ways(callers, 'endpoints', HTTPS, 'the APIs of AWS') : []),
    ...config.network.privateDestinations.flatMap(({ cidr, port, why }) =>
      ways(['webhooks', 'admin', 'open-payments', 'payments', 'connector'], { cidr }, port, why),
    ),
  ]
}

export const peerOf = (end: Exclude<End, GroupName>): IPeer =>
  end === 'anyone' ? Peer.anyIpv4() : Peer.ipv4(end.cidr)
export const tcp = (port: number): Port => Port.tcp(port)
