import type { SendResult } from '../../shared/connector-client/index.ts'
import { assert, type Clock, unreachable } from '../../shared/platform/index.ts'
import { exchangePacket, openConnection, type PacketKey, type PayTo, type SendPacket } from './connection.ts'
import type { Frame } from './frames.ts'
import { dataFrame, MONEY_STREAM } from './money-stream.ts'
import { createPaymentProgress, type PaymentLimits, type SentPacket } from './payment-progress.ts'
import type { PacketPlan } from './plan-packet.ts'
import type { RejectCount } from './reject-tally.ts'

export interface StreamPaymentContext {
  send: SendPacket
  clock: Clock
}

export interface StreamPaymentInput extends PaymentLimits {
  destination: PayTo
  /** For the receiver: goes with every packet until it has answered one. */
  data?: string
  /** Without a fulfilment for so long, the payment fails for now. Default 10 s. */
  idleMs?: number
}

export type StreamPaymentResult = SendResult & {
  /** Rejects by code and who sent them, most frequent first; of this payment object, not over earlier ones. */
  rejects: RejectCount[]
}

export interface RunOptions {
  budgetMs: number
  signal?: AbortSignal
}

export interface StreamPayment {
  /**
   * Sends until the payment is done or has failed (then nothing is under way any more), or until `budgetMs` are used up or
   * `signal` aborts: `progress`, call again to go on. After the budget packets may still be under way and are told by later
   * calls; after an abort they have been waited for. If `send` throws, the run throws that once nothing else is under way, and so does
   * every later run: only the ledger knows what was sent then.
   */
  run(options: RunOptions): Promise<StreamPaymentResult>
  /** Packets whose answers are in the totals of the last run, as many as were not taken before. */
  takeAnswered(): PacketKey[]
}

const IDLE_MS = 10_000
const PACKET_LIFE_MS = 20_000

const moneyFrames: Frame[] = [{ type: 'streamMoney', streamId: MONEY_STREAM, shares: 1n }]
/** Until the receiver has answered: he may open no other streams and send us no data. What we have for him comes along. */
const firstFrames = (data: string | undefined): Frame[] => [
  ...moneyFrames,
  { type: 'connectionMaxStreamId', maxStreamId: MONEY_STREAM },
  { type: 'connectionMaxData', maxOffset: 0n },
  ...(data === undefined ? [] : [dataFrame(Buffer.from(data))]),
]

/**
 * A payment that delivers a fixed amount over STREAM (contracts/ilp/payments.md §3): it stops once `receiveAmount` has
 * arrived, never spends more than `debitAmount`, and every packet keeps to `minRate`. The connection is not closed at the end:
 * receivers keep no state that would need it, and it would cost a packet per payment. Throws InvalidDestination.
 */
export function createStreamPayment(ctx: StreamPaymentContext, input: StreamPaymentInput): StreamPayment {
  const connection = openConnection(input.destination)
  // Who has been paid has answered.
  const untilAnswered = firstFrames(input.deliveredAmount > 0n ? undefined : input.data)
  const progress = createPaymentProgress(input, input.idleMs ?? IDLE_MS)
  let running = false
  let idleSpentMs = 0
  let lost: { error: unknown } | undefined
  let wake = () => {}
  /** In the next totals, and in those that were told. */
  const answered: { next: PacketKey[]; told: PacketKey[] } = { next: [], told: [] }

  async function deliver(packet: SentPacket): Promise<void> {
    try {
      const answer = await exchangePacket(connection, ctx.send, {
        amount: packet.sourceAmount,
        minimumAmount: packet.minimumAmount,
        expiresAt: ctx.clock.fromNow(PACKET_LIFE_MS),
        frames: progress.answeredByReceiver ? moneyFrames : untilAnswered,
        fulfillable: true,
      })
      progress.settle(packet, answer, ctx.clock.nowMs())
      answered.next.push(answer.key)
    } catch (error) {
      progress.lose()
      lost ??= { error }
    }
    wake()
  }

  function launch(plan: PacketPlan): void {
    // Never rejects, and every end wakes the run.
    void deliver(progress.begin(plan))
  }

  async function waitForChange(
    milliseconds: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const change = Promise.withResolvers<void>()
    wake = change.resolve
    const timer = milliseconds === undefined ? undefined : setTimeout(change.resolve, milliseconds)
    signal?.addEventListener('abort', wake, { once: true })
    await change.promise
    clearTimeout(timer)
    signal?.removeEventListener('abort', wake)
  }

  function tell() {
    answered.told.push(...answered.next.splice(0))
    return progress.totals()
  }
  const result = (outcome: { status: 'done' | 'progress' }): StreamPaymentResult => ({
    ...tell(),
    ...outcome,
  })

  async function loop({ budgetMs, signal }: RunOptions): Promise<StreamPaymentResult> {
    const endsAtMs = ctx.clock.nowMs() + budgetMs
    for (;;) {
      if (lost || signal?.aborted) {
        if (progress.inFlight > 0) {
          await waitForChange(undefined, undefined)
          continue
        }
        if (lost) throw lost.error
      }
      const nowMs = ctx.clock.nowMs()
      const step = progress.next(nowMs)
      if (step.kind === 'done') return result({ status: 'done' })
      if (step.kind === 'failed') return { ...tell(), status: 'failed', failure: step.failure }
      if (signal?.aborted || nowMs >= endsAtMs) return result({ status: 'progress' })
      if (step.kind === 'send') launch(step.plan)
      else if (step.kind === 'wait')
        await waitForChange(Math.min(step.untilMs ?? endsAtMs, endsAtMs) - nowMs, signal)
      else unreachable(step)
    }
  }

  return {
    takeAnswered: () => answered.told.splice(0),
    async run(options) {
      assert(!running, 'a payment runs once at a time')
      running = true
      progress.resume(ctx.clock.nowMs(), idleSpentMs)
      try {
        return await loop(options)
      } finally {
        idleSpentMs = progress.idleMs(ctx.clock.nowMs())
        running = false
      }
    },
  }
}
