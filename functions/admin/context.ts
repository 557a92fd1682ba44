import type { NodeContext } from '../../shared/node-context/index.ts'
import type { PeeringPolicy } from '../../shared/peers/index.ts'

/** What admin's resolvers work with: the node, how long idempotency keys hold, and what peers are told of the node. */
export type AdminContext = NodeContext & {
  idempotency: { lockMs: number; lifespanMs: number }
  peering: { ilpConnectorUrl?: string; name?: string }
  peeringPolicy: PeeringPolicy
}
