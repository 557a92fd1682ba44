import type { NodeContext } from '../../shared/node-context/index.ts'
import { proveEndpoints } from '../../shared/peers/index.ts'
import type { Task } from '../../shared/schedule/index.ts'

const EVERY_MS = 60_000

/** What auto-peering does by the clock. Its server looks much sooner by itself; a sandbox stands still after its answer. */
export const autoPeeringTasks = (node: NodeContext): Task[] => [
  {
    name: 'endpoint-proofs',
    everyMs: EVERY_MS,
    run: async () => {
      await proveEndpoints(node)
      return false
    },
  },
]
