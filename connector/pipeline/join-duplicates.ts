import type { Counters } from '../counters.ts'
import { isFulfill } from '../packet/index.ts'
import type { IdentifiedPacket, IncomingPacket, Reply, Service } from './model.ts'
import { packetIdOf } from './movement.ts'
import { createRecent } from './recent.ts'

/** Fulfils that are remembered, so that a repeated request gets its answer again: a second's worth at full speed, or two. */
const REMEMBERED_MIN = 5_000

interface Known {
  amount: bigint
  destination: string
  answer: Promise<Reply> | Reply
}

/**
 * The same Prepare again is the same packet: while the first is under way the repeat waits for its answer, and afterwards it gets
 * the Fulfill again. A repeat that nobody here remembers goes on, and so does one with another amount or destination under the
 * same condition: the ledger then knows its transfer ids, which follow from account, condition and expiry.
 */
export function joinDuplicates(
  ctx: { counters: Counters },
  next: Service<IdentifiedPacket>,
): Service<IncomingPacket> {
  const inFlight = new Map<string, Known>()
  const fulfilled = createRecent<Known>(REMEMBERED_MIN)

  return async (packet) => {
    const { prepare, account } = packet
    const { amount, destination } = prepare
    const conditionHex = prepare.executionCondition.toString('hex')
    const packetId = packetIdOf(packet, conditionHex)
    const identified = { ...packet, conditionHex, packetId }
    // Nothing moves for a packet of zero, and a probe has a random condition.
    if (amount === 0n || account.kind === 'probe') return await next(identified)
    const known = inFlight.get(packetId) ?? fulfilled.get(packetId)
    if (known?.amount === amount && known.destination === destination) {
      ctx.counters.count('duplicate_packets')
      return await known.answer
    }
    // Not the same and yet under the same ids: it is not to be confused with what is known.
    if (known) return await next(identified)
    const answer = next(identified)
    inFlight.set(packetId, { amount, destination, answer })
    try {
      const reply = await answer
      if (isFulfill(reply)) fulfilled.set(packetId, { amount, destination, answer: reply })
      return reply
    } finally {
      inFlight.delete(packetId)
    }
  }
}
