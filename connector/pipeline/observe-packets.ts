import { accountCode } from '../../shared/ledger/index.ts'
import {
  applyPrivacy,
  type PaymentRef,
  type SpanOptions,
  type Telemetry,
  type Usd,
} from '../../shared/telemetry/index.ts'
import { ilpErrors, isFulfill } from '../packet/index.ts'
import type { Deliveries } from './deliveries.ts'
import type { ForeignPacket, IncomingPacket, LocalPacket, PacketTrail, Reply, Service } from './model.ts'

export interface ObserveContext {
  telemetry: Telemetry
  /** The node's own, to tell its rejects from others'. */
  ilpAddress: string
  usd: Usd
  /** ENABLE_ILP_TIMING_TELEMETRY. */
  ilpTiming: boolean
}

/** Spans of single packets in a second: a fast payment shows its first ones, and costs no more than that. */
const SPANS_PER_SECOND = 200

/** Whatever peers write into their rejects, there are no more codes than these. */
const codeOf = (code: string): string => (Object.hasOwn(ilpErrors, code) ? code : 'other')

const operationOf = ({ account, trail }: IncomingPacket): string => {
  if (trail?.destination === 'payee') return account.kind === 'peer' ? 'incoming_payment' : 'unknown'
  if (trail?.destination === 'peer') return account.kind === 'peer' ? 'routing' : 'outgoing_payment'
  return 'unknown'
}

/** Watches packets from outside of all that happens to them. Counts, and never waits. */
export function createPacketObserver(ctx: ObserveContext) {
  const { telemetry, usd } = ctx
  const { instruments, tracing } = telemetry
  const prepares = instruments.counter('packet_count_prepare')
  const fulfills = instruments.counter('packet_count_fulfill')
  const rejects = instruments.counter('packet_count_reject')
  const amounts = instruments.counter('packet_amount_fulfill')
  const codes = instruments.counter('upesi_packet_rejects')
  const times = ctx.ilpTiming ? instruments.histogram('ilp_prepare_packet_processing_ms') : undefined

  const count = ({ account }: IncomingPacket, amount: bigint, reply: Reply): void => {
    const fulfilled = isFulfill(reply)
    if (!fulfilled)
      codes.add(1, {
        code: codeOf(reply.code),
        origin: reply.triggeredBy === ctx.ilpAddress ? 'self' : 'other',
      })
    if (amount === 0n || account.kind === 'probe') return
    const counter = fulfilled ? fulfills : rejects
    counter.add(1)
    if (!fulfilled) return
    const { assetCode, assetScale } = account.asset
    usd.convert(account.tenantId, [{ value: amount, assetCode, assetScale }], ([value = 0n]) =>
      amounts.add(applyPrivacy(Number(value), Math.random())),
    )
  }

  let second = 0
  let spans = 0
  const mayTrace = (): boolean => {
    const now = Math.floor(performance.now() / 1_000)
    if (now !== second) {
      second = now
      spans = 0
    }
    return spans++ < SPANS_PER_SECOND
  }
  const traced = (name: string, payment: PaymentRef, options: SpanOptions, work: () => Promise<Reply>) =>
    tracing.span(name, { ...options, payment }, async () => {
      const reply = await work()
      tracing.note({ 'upesi.ilp.answer': isFulfill(reply) ? 'fulfill' : codeOf(reply.code) })
      return reply
    })

  return {
    /** Outermost. */
    all:
      (next: Service<IncomingPacket>): Service<IncomingPacket> =>
      async (packet) => {
        const { account } = packet
        // The packet's own bytes are changed on its way.
        const { amount } = packet.prepare
        const seen: IncomingPacket = { ...packet, trail: {} }
        if (amount !== 0n && account.kind !== 'probe') prepares.add(1)
        const startedAt = performance.now()
        try {
          const isTraced = telemetry.traces && account.kind === 'payment' && mayTrace()
          const reply = isTraced
            ? await traced('ilp.send', { outgoingPaymentId: account.id }, {}, () => next(seen))
            : await next(seen)
          count(packet, amount, reply)
          return reply
        } finally {
          times?.record(performance.now() - startedAt, { operation: operationOf(seen) })
        }
      },
    /** Around the delivery to a payee of this node: the other end of a payer's trace. */
    toPayee:
      (deliveries: Pick<Deliveries, 'find'>, next: Service<LocalPacket>): Service<LocalPacket> =>
      async (packet) => {
        note(packet.trail, 'payee')
        if (!telemetry.traces || !mayTrace()) return await next(packet)
        const delivery = await deliveries.find(packet.paymentTag)
        if (delivery?.payee.accountCode !== accountCode.incomingPayment) return await next(packet)
        const payment = { incomingPaymentId: packet.paymentTag }
        return await traced('ilp.deliver', payment, { kind: 'server' }, () => next(packet))
      },
    toPeer:
      (next: Service<ForeignPacket>): Service<ForeignPacket> =>
      (packet) => {
        note(packet.trail, 'peer')
        return next(packet)
      },
  }
}

export type PacketObserver = ReturnType<typeof createPacketObserver>

function note(trail: PacketTrail | undefined, destination: NonNullable<PacketTrail['destination']>): void {
  if (trail) trail.destination = destination
}
