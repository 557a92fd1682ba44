import type { NodeContext } from '../../shared/node-context/index.ts'
import type { PeeringPolicy } from '../../shared/peers/index.ts'
import type { AwaitingMirror } from '../../shared/tenants/index.ts'

/** What admin's resolvers work with: the node, how long idempotency keys hold, and what peers are told of the node. */
export type AdminContext = NodeContext &
  AwaitingMirror & {
    idempotency: { lockMs: number; lifespanMs: number }
    peering: { ilpConnectorUrl?: string; name?: string }
    peeringPolicy: PeeringPolicy
  }
