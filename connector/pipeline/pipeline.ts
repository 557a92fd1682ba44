import type { FoundPacket } from '../../shared/outgoing-payments/index.ts'
import { type IlpPrepare, parsePrepare, serializePrepare } from '../packet/index.ts'
import type { PeerDirectory } from '../routing/index.ts'
import { answerFaults } from './answer-faults.ts'
import { answerPeer } from './answer-peer.ts'
import { type AskedAgain, askAgain } from './ask-again.ts'
import { type ChooseContext, chooseDestination } from './choose-destination.ts'
import { type ConversionContext, convertAmount, createConversion } from './convert.ts'
import { countPackets } from './count-packets.ts'
import { type DeliverContext, deliver } from './deliver.ts'
import { findRoute } from './find-route.ts'
import { type HoldContext, holdMoney } from './hold-money.ts'
import { joinDuplicates } from './join-duplicates.ts'
import { type KeptPackets, keepPacket } from './keep-packet.ts'
import { limitAmount } from './limit-amount.ts'
import { type LimitContext, limitTraffic } from './limit-traffic.ts'
import type { IncomingAccount, IncomingPacket, Reply } from './model.ts'
import type { PacketObserver } from './observe-packets.ts'
import { createRejects } from './rejects.ts'
import { type PeerTransport, sendToPeer } from './send-to-peer.ts'
import { shortenExpiry } from './shorten-expiry.ts'
import { validateFulfilment } from './validate-fulfilment.ts'
import { withholdAnswer } from './withhold-answer.ts'

export type PipelineOptions = Omit<
  HoldContext & DeliverContext & ConversionContext & LimitContext,
  'rejects' | 'convert' | 'abandoned'
> &
  ChooseContext & {
    directory: Pick<PeerDirectory, 'findRoute' | 'findPeer'>
    kept: Pick<KeptPackets, 'keep' | 'sender'>
    transport: PeerTransport
    observer: PacketObserver
  }

export interface Pipeline {
  /** A Prepare's bytes from a peer. They are patched in place. Throws `InvalidPacket`, and `AnswerUnknown` when no answer is true. */
  receive(account: IncomingAccount, bytes: Buffer): Promise<Reply>
  /** A packet of this node's own payments and probes. With an `answerKey` it is kept while it is under way. */
  send(account: IncomingAccount, prepare: IlpPrepare, answerKey?: Buffer): Promise<Reply>
  /** What became of a payment's packet whose connector is gone, as far as it can be told by `untilMs`: see `ask-again`. */
  askAgain(kept: FoundPacket, untilMs: number): Promise<AskedAgain>
  /** When each packet that an account has under way is answered, or at least seen in the ledger by everybody. */
  allHeld(accountId: string): Promise<void>
  /** Packets under way. */
  readonly inFlight: number
}

/**
 * The packet's way through the node, in the order in which it must happen:
 *
 * 1. `joinDuplicates` is outermost but for who only watches and counts. Before anything that moves money, so that a repeat cannot move it
 *    at the same time; and before the limits, so that a repeat gets the answer of the packet that it is.
 * 2. `answerFaults` inside of it: whatever breaks below becomes an answer, and a repeat gets that too.
 * 3. `limitAmount` and `limitTraffic` cost little and protect all the rest; a packet that is too large does not use up the rate.
 * 4. `answerPeer` takes what is meant for this node itself, and `chooseDestination` its receivers', because no peer may answer for
 *    them.
 * 5. Forwarded: `findRoute` and `shortenExpiry` refuse new packets for little; `convertAmount` may wait for rates, so the expiry is fixed before
 *    it and the price as late as can be.
 * 6. `keepPacket` begins to write this node's own packets down, while `holdMoney` holds their money; they leave when both are done.
 *    `holdMoney` around everything that can fulfil: money is held before the packet leaves, and settled by what really came back,
 *    which is why `validateFulfilment` is inside of it: a wrong fulfilment must void the hold.
 * 7. `sendToPeer` is innermost.
 */
export function createPipeline(options: PipelineOptions): Pipeline {
  const rejects = createRejects(options.ilpAddress)
  const ctx = { ...options, rejects, abandoned: new Set<string>() }
  const convert = createConversion(ctx)

  const forward = findRoute(
    ctx,
    shortenExpiry(
      ctx,
      convertAmount(ctx, convert, keepPacket(ctx, holdMoney(ctx, validateFulfilment(ctx, sendToPeer(ctx))))),
    ),
  )
  const { observer } = options
  const local = observer.toPayee(options.deliveries, deliver({ ...ctx, convert }))
  const choose = chooseDestination(ctx, local, observer.toPeer(forward))
  const handle = observer.all(
    countPackets(
      ctx,
      joinDuplicates(
        ctx,
        answerFaults(ctx, withholdAnswer(ctx, limitAmount(ctx, limitTraffic(ctx, answerPeer(ctx, choose))))),
      ),
    ),
  )

  let inFlight = 0
  const receive = async (
    account: IncomingAccount,
    bytes: Buffer,
    own?: Pick<IncomingPacket, 'onHeld' | 'answerKey'>,
  ): Promise<Reply> => {
    const prepare = parsePrepare(bytes)
    inFlight++
    try {
      return await handle({ account, prepare, ...own })
    } finally {
      inFlight--
    }
  }

  const unheld = new Map<string, Set<Promise<void>>>()
  const send = async (account: IncomingAccount, prepare: IlpPrepare, answerKey?: Buffer): Promise<Reply> => {
    const held = Promise.withResolvers<void>()
    const others = unheld.get(account.id) ?? new Set()
    unheld.set(account.id, others.add(held.promise))
    const end = () => {
      held.resolve()
      others.delete(held.promise)
      if (others.size === 0 && unheld.get(account.id) === others) unheld.delete(account.id)
    }
    try {
      return await receive(account, serializePrepare(prepare), {
        onHeld: end,
        ...(answerKey && { answerKey }),
      })
    } finally {
      end()
    }
  }

  return {
    receive: (account, bytes) => receive(account, bytes),
    send,
    async askAgain(kept, untilMs) {
      inFlight++
      try {
        return await askAgain(ctx, kept, untilMs)
      } finally {
        inFlight--
      }
    },
    async allHeld(accountId) {
      await Promise.all([...(unheld.get(accountId) ?? [])])
    },
    get inFlight() {
      return inFlight
    },
  }
}
