import { setTimeout as sleep } from 'node:timers/promises'
import {
  ConnectorRefusal,
  type SendInput,
  type SendResult,
  type SettleInput,
  type SettleResult,
} from '../../shared/connector-client/index.ts'
import type { Ledger } from '../../shared/ledger/index.ts'
import type { FoundPacket } from '../../shared/outgoing-payments/index.ts'
import { type Clock, Fault, isUuid, type Logger, messageOf } from '../../shared/platform/index.ts'
import { type IncomingAccount, type KeptPackets, type Pipeline, packetIdOf } from '../pipeline/index.ts'
import {
  addRejects,
  answerKeyOf,
  createStreamPayment,
  InvalidDestination,
  type StreamPayment,
} from '../stream/index.ts'
import { createLeftBehind, type LeftBehind } from './left-behind.ts'
import {
  getSendable,
  readAccountAhead,
  readSendTotals,
  type SendRecords,
  type SendTotals,
} from './send-ledger.ts'

export interface SessionsContext {
  pipeline: Pick<Pipeline, 'send' | 'askAgain' | 'allHeld'>
  ledger: Ledger
  records: SendRecords
  kept: KeptPackets
  leftBehind: LeftBehind
  clock: Clock
  log: Logger
}

/** Payments that this connector is sending, or has sent a short while ago. */
export interface Sessions {
  send(input: SendInput): Promise<SendResult>
  /** Waits for what is under way and tells what is known; a payment that this process did not send is `unknown`. */
  settle(input: SettleInput): Promise<SettleResult>
  readonly size: number
  /** Sends nothing new, waits for what is under way and records it. */
  close(): Promise<void>
}

/** How long an idle session is remembered: long enough for a new worker to get the answer that its predecessor lost. */
const SESSION_LIFE_MS = 60_000
const SWEEP_MS = 10_000
const RECORD_ATTEMPTS = 3

/**
 * One payment's sending. `known` is exact while this process sends and is read from the ledger when it begins; `earlier` is what
 * came before the stream payment at hand, whose own counts start at zero.
 */
interface Session {
  id: string
  input: SendInput
  known: SendTotals | undefined
  earlier: SendTotals | undefined
  payment: StreamPayment | undefined
  slice: Promise<SendResult> | undefined
  final: SendResult | undefined
  usedAtMs: number
  recorded: SendTotals | undefined
  /** Kept packets that count in `known`, and not in `recorded` yet. */
  answered: string[]
}

/**
 * Sends payments in slices (decisions: Who does what). One slice of a payment runs at a time and every caller joins it; its totals
 * are recorded before anybody is told. A final answer stays for {@link SESSION_LIFE_MS}; a failure that may be retried is final
 * for its callers only, because the next call is the retry.
 */
export function createSessions(given: Omit<SessionsContext, 'leftBehind'>): Sessions {
  const ctx = { ...given, leftBehind: createLeftBehind(given) }
  const sessions = new Map<string, Session>()
  const closing = new AbortController()

  const sessionOf = (input: SendInput): Session => {
    let session = sessions.get(input.outgoingPaymentId)
    if (!session) {
      session = {
        id: input.outgoingPaymentId,
        input,
        known: undefined,
        earlier: undefined,
        payment: undefined,
        slice: undefined,
        final: undefined,
        usedAtMs: 0,
        recorded: undefined,
        answered: [],
      }
      sessions.set(session.id, session)
    }
    session.usedAtMs = ctx.clock.nowMs()
    return session
  }

  const sweep = () => {
    for (const session of sessions.values()) {
      if (session.slice || ctx.clock.nowMs() - session.usedAtMs < SESSION_LIFE_MS) continue
      session.slice = retire(ctx, session).finally(() => {
        session.slice = undefined
        if (session.usedAtMs + SESSION_LIFE_MS <= ctx.clock.nowMs()) sessions.delete(session.id)
      })
      session.slice.catch((error: unknown) =>
        ctx.log.warn({ outgoingPaymentId: session.id, reason: messageOf(error) }, 'session not retired'),
      )
    }
  }
  const interval = setInterval(sweep, SWEEP_MS)
  interval.unref()

  return {
    get size() {
      return sessions.size
    },
    async send(input) {
      if (!isUuid(input.outgoingPaymentId))
        throw new ConnectorRefusal('invalid_request', { message: 'outgoingPaymentId must be a UUID' })
      if (closing.signal.aborted) throw goingDown()
      const session = sessionOf(input)
      if (session.final) return session.final
      session.slice ??= runSlice(ctx, session, input, closing.signal).finally(() => {
        session.slice = undefined
        session.usedAtMs = ctx.clock.nowMs()
      })
      return await session.slice
    },
    async settle({ outgoingPaymentId, budgetMs }) {
      const untilMs = ctx.clock.nowMs() + budgetMs
      const session = sessions.get(outgoingPaymentId)
      if (!session) return await settleUnknown(ctx, outgoingPaymentId, untilMs)
      session.usedAtMs = ctx.clock.nowMs()
      // A slice that runs is waited for first: only then may the payment be drained.
      const settling = (session.slice ?? Promise.resolve())
        .catch(() => undefined)
        .then(() => {
          session.slice ??= retire(ctx, session).finally(() => {
            session.slice = undefined
          })
          return session.slice
        })
      const isSettled = await withinMs(settling, budgetMs)
      const { known } = session
      if (!known) return await settleUnknown(ctx, outgoingPaymentId, untilMs)
      const { rejects: _rejects, ...totals } = known
      return { status: isSettled ? 'settled' : 'pending', ...totals }
    },
    async close() {
      closing.abort()
      clearInterval(interval)
      await Promise.allSettled(
        [...sessions.values()].map(async (session) => {
          await session.slice?.catch(() => undefined)
          await retire(ctx, session)
        }),
      )
    },
  }
}

/** Whether `work` ended well in time. It goes on when it did not. */
async function withinMs(work: Promise<unknown>, budgetMs: number): Promise<boolean> {
  const timer = new AbortController()
  const ended = work.then(
    () => true,
    () => false,
  )
  const late = sleep(budgetMs, false, { signal: timer.signal }).catch(() => false)
  const isInTime = await Promise.race([ended, late])
  timer.abort()
  return isInTime
}

const goingDown = () =>
  new Fault('connector_closing', { retryable: true, message: 'the connector is going down' })

async function runSlice(
  ctx: SessionsContext,
  session: Session,
  input: SendInput,
  signal: AbortSignal,
): Promise<SendResult> {
  const untilMs = ctx.clock.nowMs() + input.budgetMs
  const ahead = session.known ? undefined : readAccountAhead(ctx, session.id)
  const finding = findAhead(ctx, session.id)
  let recorded = await getSendable(ctx, session.id)
  await adoptLimits(session, input)
  const found = await finding
  // Another connector has sent since: what is known here is too little, and would be sent a second time.
  if (session.recorded && (isFurther(recorded, session.recorded) || hasOthers(ctx, found))) {
    await drain(session)
    forgetTotals(session)
  }
  if (!session.known) {
    if (found.length > 0) {
      if (!(await ctx.leftBehind.settle(session.id, found, untilMs))) return progressOf(input)
      recorded = await getSendable(ctx, session.id)
    }
    const totals = await readSendTotals(ctx, input, {
      recorded,
      // What was read before is no longer so.
      ahead: found.length === 0 ? ahead : undefined,
      untilMs,
      signal,
    })
    // Nothing is certain yet; the caller's own figures are the best there are.
    if (!totals) return progressOf(input)
    session.known = totals
    session.recorded = totals
  }
  session.payment ??= openPayment(ctx, session)
  const result = await runPayment(ctx, session, {
    budgetMs: Math.max(0, untilMs - ctx.clock.nowMs()),
    signal,
  })
  // The next slice may be another connector's, which goes by the ledger: what is under way must be seen there.
  await ctx.pipeline.allHeld(session.id)
  await record(ctx, session)
  if (result.status === 'done' || (result.status === 'failed' && !result.failure.retryable))
    session.final = result
  return result
}

/** Of a payment that this process did not send another connector may have left packets: nothing can be decided before they have their end. */
async function settleUnknown(
  ctx: SessionsContext,
  outgoingPaymentId: string,
  untilMs: number,
): Promise<SettleResult> {
  if (!isUuid(outgoingPaymentId)) return { status: 'unknown' }
  const found = await ctx.kept.find(outgoingPaymentId)
  if (found.length === 0 || (await ctx.leftBehind.settle(outgoingPaymentId, found, untilMs)))
    return { status: 'unknown' }
  const { state: _state, rejects: _rejects, ...totals } = await ctx.records.getSendProgress(outgoingPaymentId)
  return { status: 'pending', ...totals }
}

/** Those of this connector are in its own totals, or will be. */
const hasOthers = ({ kept }: SessionsContext, found: readonly FoundPacket[]): boolean =>
  found.some(({ sender }) => sender !== kept.sender)

/** Mostly there is nothing, and then it takes no time: the payment's own row is read meanwhile. */
function findAhead(ctx: SessionsContext, outgoingPaymentId: string): ReturnType<KeptPackets['find']> {
  const finding = ctx.kept.find(outgoingPaymentId)
  finding.catch(() => undefined)
  return finding
}

/** Also when nothing of it has arrived yet: what is under way counts. */
const isFurther = (recorded: SendTotals, known: SendTotals): boolean =>
  recorded.sentAmount > known.sentAmount || recorded.packets.sent > known.packets.sent

const progressOf = ({ sentAmount, deliveredAmount }: SendInput): SendResult => ({
  status: 'progress',
  sentAmount,
  deliveredAmount,
  packets: { sent: 0, fulfilled: 0, rejected: 0 },
})

/** A stream payment has fixed limits: when the caller's have changed, the old one is drained and another takes over. */
async function adoptLimits(session: Session, input: SendInput): Promise<void> {
  const { debitAmount, receiveAmount } = session.input
  session.input = input
  if (debitAmount === input.debitAmount && receiveAmount === input.receiveAmount) return
  if (session.payment) await drain(session)
  session.payment = undefined
}

async function drain(session: Session): Promise<void> {
  if (!session.payment) return
  try {
    keepTotals(session, await session.payment.run({ budgetMs: 0, signal: AbortSignal.abort() }))
  } catch {
    forgetTotals(session)
  }
}

function openPayment(ctx: SessionsContext, session: Session): StreamPayment {
  const { input, known } = session
  session.earlier = known
  const account: IncomingAccount = {
    kind: 'payment',
    id: session.id,
    tenantId: input.tenantId,
    asset: input.sourceAsset,
  }
  try {
    const answerKey = answerKeyOf(input.destination)
    return createStreamPayment(
      { send: (prepare) => ctx.pipeline.send(account, prepare, answerKey), clock: ctx.clock },
      {
        ...input,
        sentAmount: known?.sentAmount ?? input.sentAmount,
        deliveredAmount: known?.deliveredAmount ?? input.deliveredAmount,
      },
    )
  } catch (error) {
    if (!(error instanceof InvalidDestination)) throw error
    throw new ConnectorRefusal('invalid_request', { message: error.message, cause: error })
  }
}

async function runPayment(
  ctx: SessionsContext,
  session: Session,
  options: { budgetMs: number; signal: AbortSignal },
): Promise<SendResult> {
  if (!session.payment) throw new Fault('session_lost', { retryable: true })
  try {
    const { rejects, ...result } = await session.payment.run(options)
    keepTotals(session, { ...result, rejects })
    if (result.status === 'failed') {
      ctx.log.info(
        { outgoingPaymentId: session.id, failure: result.failure, rejects, packets: result.packets },
        'payment stopped',
      )
      // The next call begins anew, from exact totals.
      session.payment = undefined
    }
    return { ...result, ...told(session.known) }
  } catch (error) {
    // A packet's outcome is unknown. Only the ledger knows what was sent, once its hold has ended.
    const last = session.known
    forgetTotals(session)
    ctx.log.error({ outgoingPaymentId: session.id, reason: messageOf(error) }, 'sending is uncertain')
    return { ...progressOf(session.input), ...told(last) }
  }
}

/** What the caller gets: the rejects go to the payment's row. */
function told(totals: SendTotals | undefined): Omit<SendTotals, 'rejects'> | undefined {
  if (!totals) return undefined
  const { rejects: _rejects, ...rest } = totals
  return rest
}

const totalsOf = ({ earlier }: Session, own: SendTotals): SendTotals => ({
  sentAmount: own.sentAmount,
  deliveredAmount: own.deliveredAmount,
  packets: {
    sent: own.packets.sent + (earlier?.packets.sent ?? 0),
    fulfilled: own.packets.fulfilled + (earlier?.packets.fulfilled ?? 0),
    rejected: own.packets.rejected + (earlier?.packets.rejected ?? 0),
  },
  rejects: addRejects(earlier?.rejects ?? [], own.rejects),
})

function keepTotals(session: Session, own: SendTotals): void {
  session.known = totalsOf(session, own)
  const account = { id: session.id }
  for (const key of session.payment?.takeAnswered() ?? [])
    session.answered.push(packetIdOf({ account, prepare: key }, key.executionCondition.toString('hex')))
}

function forgetTotals(session: Session): void {
  session.payment = undefined
  session.known = undefined
  session.earlier = undefined
  session.answered = []
}

/** Before anybody is told. Throws a Fault when the database is away: the totals stay here, and the next call tries again. */
async function record(ctx: SessionsContext, session: Session): Promise<void> {
  const { known, recorded, answered } = session
  if (!known || (recorded && isSame(known, recorded) && answered.length === 0)) return
  for (let attempt = 1; ; attempt++) {
    try {
      await ctx.records.recordSendProgress(session.id, known, answered)
      session.recorded = known
      session.answered = []
      return
    } catch (error) {
      if (attempt >= RECORD_ATTEMPTS) throw error
      ctx.log.warn({ outgoingPaymentId: session.id, reason: messageOf(error) }, 'send progress not recorded')
      await sleep(100 * attempt)
    }
  }
}

const isSame = (a: SendTotals, b: SendTotals): boolean =>
  a.sentAmount === b.sentAmount &&
  a.deliveredAmount === b.deliveredAmount &&
  a.packets.sent === b.packets.sent &&
  a.packets.rejected === b.packets.rejected

/** The end of a session that nobody asks for any more: what is under way is waited for and recorded. */
async function retire(ctx: SessionsContext, session: Session): Promise<SendResult> {
  await drain(session)
  await record(ctx, session)
  // What is known here is not all.
  if (hasOthers(ctx, await ctx.kept.find(session.id))) forgetTotals(session)
  return { ...progressOf(session.input), ...told(session.known) }
}
