import type { NodeContext } from '../../shared/node-context/index.ts'

/** What admin's resolvers work with: the node, and how long idempotency keys hold. */
export type AdminContext = NodeContext & {
  idempotency: { lockMs: number; lifespanMs: number }
}
