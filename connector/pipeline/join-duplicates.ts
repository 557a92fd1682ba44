import type { Ledger } from '../../shared/ledger/index.ts'
import type { Counters } from '../counters.ts'
import { type IlpFulfill, type IlpReject, isFulfill } from '../packet/index.ts'
import { findForwardedBefore } from './forwarded-before.ts'
import type { IdentifiedPacket, IncomingPacket, Reply, Service } from './model.ts'
import { packetIdOf } from './movement.ts'
import { createRecent } from './recent.ts'

/** Fulfils, and as many Rejects, that are remembered for repeats: a second's worth at full speed, or two. */
const REMEMBERED_MIN = 5_000
/** Bytes, or characters. STREAM's answers have some hundred. */
const REMEMBERED_DATA_MAX = 4_096

/** What a repeat must have in common with the packet under the same ids. */
interface Known {
  amount: bigint
  destination: string
}

interface InFlight extends Known {
  answer: Promise<Reply>
}

/** As text: a small Buffer would keep all of the 64 KiB alive that it was cut out of. */
interface Fulfilled extends Known {
  fulfillment: string
  data: string
}

type Rejected = Omit<IlpReject, 'data'> & { data: string }

/**
 * The same Prepare again is the same packet: while the first is under way the repeat waits for its answer, and afterwards it gets
 * the same answer again. Also a Reject: of two requests with the same bytes the sender may have read the one that was rejected, whichever
 * came first, and counts on it that nothing moves for the other. A repeat that nobody here remembers goes on, and so does one with another
 * amount or destination under the same condition: the ledger then knows its transfer ids, which follow from account, condition and expiry.
 */
export function joinDuplicates(
  ctx: { counters: Counters; ledger: Pick<Ledger, 'lookupTransfers'> },
  next: Service<IdentifiedPacket>,
): Service<IncomingPacket> {
  const inFlight = new Map<string, InFlight>()
  const fulfilled = createRecent<Fulfilled>(REMEMBERED_MIN)
  // Apart, so that many Rejects displace no Fulfill, and by all that makes the packet: none moved anything, so its ids are free.
  const rejected = createRecent<Rejected>(REMEMBERED_MIN)

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
      return 'answer' in known ? await known.answer : toFulfill(known)
    }
    const all = `${packetId} ${amount} ${destination}`
    const refused = rejected.get(all)
    const answer = refused ? answerRefused(ctx, identified, toReject(refused), next) : next(identified)
    // Not the same and yet under the same ids: it is not to be confused with what is known.
    if (!known) inFlight.set(packetId, { amount, destination, answer })
    try {
      const reply = await answer
      if (!isFulfill(reply)) rejected.set(all, ofReject(reply))
      else if (!known && reply.data.length <= REMEMBERED_DATA_MAX)
        fulfilled.set(packetId, {
          amount,
          destination,
          fulfillment: reply.fulfillment.toString('latin1'),
          data: reply.data.toString('latin1'),
        })
      return reply
    } finally {
      if (!known) inFlight.delete(packetId)
    }
  }
}

/** Another connector may have taken it since. */
async function answerRefused(
  ctx: Parameters<typeof joinDuplicates>[0],
  packet: IdentifiedPacket,
  reject: IlpReject,
  next: Service<IdentifiedPacket>,
): Promise<Reply> {
  ctx.counters.count('duplicate_packets')
  const before = await findForwardedBefore(ctx, packet)
  return before === 'never' || before === 'ended' ? reject : await next(packet)
}

const toFulfill = ({ fulfillment, data }: Fulfilled): IlpFulfill => ({
  fulfillment: Buffer.from(fulfillment, 'latin1'),
  data: Buffer.from(data, 'latin1'),
})

/** Every Reject is remembered, because nothing else knows of it: without its words where they are many. */
function ofReject({ code, triggeredBy, message, data }: IlpReject): Rejected {
  const isShort = message.length + data.length <= REMEMBERED_DATA_MAX
  return isShort
    ? { code, triggeredBy, message, data: data.toString('latin1') }
    : { code, triggeredBy, message: '', data: '' }
}

const toReject = ({ code, triggeredBy, message, data }: Rejected): IlpReject => ({
  code,
  triggeredBy,
  message,
  data: Buffer.from(data, 'latin1'),
})
