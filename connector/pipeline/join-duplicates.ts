import type { Counters } from '../counters.ts'
import { isFulfill } from '../packet/index.ts'
import type { IdentifiedPacket, IncomingPacket, Reply, Service } from './model.ts'

/** Fulfils that are remembered, so that a repeated request gets its answer again: a few seconds' worth at full speed. */
const REMEMBERED_MAX = 10_000

/**
 * The same Prepare again (account, condition, expiry, amount, destination) is the same packet: while the first is under way the
 * repeat waits for its answer, and afterwards it gets the Fulfill again. A repeat that nobody here remembers goes on; the
 * ledger then knows its transfer ids, which follow from the same fields.
 */
export function joinDuplicates(
  ctx: { counters: Counters },
  next: Service<IdentifiedPacket>,
): Service<IncomingPacket> {
  const inFlight = new Map<string, Promise<Reply>>()
  const fulfilled = new Map<string, Reply>()

  const remember = (key: string, reply: Reply) => {
    fulfilled.set(key, reply)
    if (fulfilled.size <= REMEMBERED_MAX) return
    const oldest = fulfilled.keys().next()
    if (!oldest.done) fulfilled.delete(oldest.value)
  }

  return async (packet) => {
    const { prepare, account } = packet
    const conditionHex = prepare.executionCondition.toString('hex')
    // Nothing moves for a packet of zero, and a probe has a random condition.
    if (prepare.amount === 0n || account.kind === 'probe') return await next({ ...packet, conditionHex })
    const key = `${account.id} ${conditionHex} ${prepare.expiresAt.getTime()} ${prepare.amount} ${prepare.destination}`
    const known = inFlight.get(key) ?? fulfilled.get(key)
    if (known) {
      ctx.counters.count('duplicate_packets')
      return await known
    }
    const answer = next({ ...packet, conditionHex })
    inFlight.set(key, answer)
    try {
      const reply = await answer
      if (isFulfill(reply)) remember(key, reply)
      return reply
    } finally {
      inFlight.delete(key)
    }
  }
}
