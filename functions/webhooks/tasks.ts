import type { NodeContext } from '../../shared/node-context/index.ts'
import type { Task } from '../../shared/schedule/index.ts'
import { ATTEMPTS_KEPT_DAYS, forgetAttempts } from '../../shared/webhooks/index.ts'
import { watchLiquidity } from './watch-liquidity.ts'

const HOUR_MS = 3_600_000
/** Between two looks at the balances that are watched: while payments are made, and while none are. */
const LIQUIDITY_MS_MIN = 1_000
const LIQUIDITY_MS_MAX = 5_000

export const LIQUIDITY_WATCH = 'liquidity-watch'

/** What the webhook worker does by the clock. */
export const webhooksTasks = (
  node: Pick<NodeContext, 'db' | 'ledger' | 'clock' | 'log' | 'settings'>,
): Task[] => [
  {
    name: LIQUIDITY_WATCH,
    everyMs: LIQUIDITY_MS_MAX,
    restMs: LIQUIDITY_MS_MIN,
    run: async () => {
      await watchLiquidity(node)
      return false
    },
  },
  {
    name: 'attempts-cleanup',
    everyMs: HOUR_MS,
    run: async () => {
      await forgetAttempts(node.db, node.clock.fromNow(-ATTEMPTS_KEPT_DAYS * 24 * HOUR_MS))
      return false
    },
  },
]
