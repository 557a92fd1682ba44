import {
  type ConnectorClient,
  ConnectorRefusal,
  type ConnectorRefusalCode,
  type ProbeResult,
  type SendFailure,
  type SendInput,
  type SendResult,
} from '../connector-client/index.ts'
import { type Ledger, transferCode } from '../ledger/index.ts'
import {
  convertCeil,
  convertFloor,
  identityRate,
  invertRate,
  minimum,
  parseRate,
  type Rate,
} from '../money/index.ts'
import { deriveId, Fault } from '../platform/index.ts'

/** A connector whose path and moods a test sets. Money really leaves the payment's account: to the source asset's liquidity. */
export interface FakeConnector extends ConnectorClient {
  /** Destination units per source unit, smallest. Default one to one. */
  pathRate: Rate
  /** `'USD EUR'` → price of a whole unit. Missing: the rates service has none. */
  prices: Record<string, string>
  maxPacketAmount?: bigint
  /** Packets that one call sends before it answers `progress`. Default: all. */
  packetsPerSlice?: number
  /** Nobody answers: every call is a fault. */
  isDown: boolean
  probeRefusal?: ConnectorRefusalCode
  /** What the next calls of `send` answer instead of sending; `undefined` entries send. */
  sendFailures: (SendFailure | undefined)[]
  /** Runs at the beginning of each call of `send`. */
  onSend?: (input: SendInput) => Promise<void>
  sends: SendInput[]
  probes: number
}

export function createFakeConnector(
  ledger: () => Ledger,
  deliver: (input: SendInput, amount: bigint) => void,
): FakeConnector {
  const totals = new Map<string, { packets: number; delivered: bigint }>()

  const unavailable = () => {
    if (fake.isDown) throw new Fault('connector_unavailable', { retryable: true, message: 'nobody answers' })
  }
  const sentSoFar = async (id: string) => (await ledger().lookupAccounts([id]))[0]?.debitsPosted ?? 0n

  /** One packet, or `false` when there is nothing more to send. */
  const sendPacket = async (input: SendInput): Promise<boolean> => {
    const total = totals.get(input.outgoingPaymentId) ?? { packets: 0, delivered: input.deliveredAmount }
    const left = input.debitAmount - (await sentSoFar(input.outgoingPaymentId))
    const needed = input.receiveAmount - total.delivered
    if (needed <= 0n || left <= 0n) return false
    const whole = minimum(convertCeil(needed, invertRate(fake.pathRate)), left)
    const amount = fake.maxPacketAmount === undefined ? whole : minimum(whole, fake.maxPacketAmount)
    await ledger().createTransfers([
      {
        kind: 'posted',
        id: deriveId('fake-packet', input.outgoingPaymentId, total.packets),
        debitAccountId: input.outgoingPaymentId,
        creditAccountId: input.sourceAsset.id,
        ledger: input.sourceAsset.ledger,
        code: transferCode.transfer,
        amount,
      },
    ])
    const arrived = convertFloor(amount, fake.pathRate)
    totals.set(input.outgoingPaymentId, { packets: total.packets + 1, delivered: total.delivered + arrived })
    deliver(input, arrived)
    return true
  }

  const resultOf = async (input: SendInput) => {
    const { packets, delivered } = totals.get(input.outgoingPaymentId) ?? { packets: 0, delivered: 0n }
    return {
      sentAmount: await sentSoFar(input.outgoingPaymentId),
      deliveredAmount: delivered,
      packets: { sent: packets, fulfilled: packets, rejected: 0 },
    }
  }

  const sendSlice = async (input: SendInput): Promise<SendResult> => {
    for (let packets = 0; packets < (fake.packetsPerSlice ?? 1000); packets++)
      if (!(await sendPacket(input))) return { status: 'done', ...(await resultOf(input)) }
    return { status: 'progress', ...(await resultOf(input)) }
  }

  /** A connector has one session of a payment, whoever asks for it: two that count the same rest would send it twice. */
  const running = new Map<string, Promise<unknown>>()
  const oneAtATime = <T>(id: string, work: () => Promise<T>): Promise<T> => {
    const next = (running.get(id) ?? Promise.resolve()).then(work)
    running.set(
      id,
      next.catch(() => undefined),
    )
    return next
  }

  const fake: FakeConnector = {
    pathRate: identityRate,
    prices: {},
    isDown: false,
    sendFailures: [],
    sends: [],
    probes: 0,
    async probe(): Promise<ProbeResult> {
      unavailable()
      fake.probes++
      if (fake.probeRefusal) throw new ConnectorRefusal(fake.probeRefusal, { message: 'the path is closed' })
      const { pathRate: lowRate, maxPacketAmount } = fake
      return { lowRate, highRate: lowRate, ...(maxPacketAmount !== undefined && { maxPacketAmount }) }
    },
    async send(input): Promise<SendResult> {
      fake.sends.push(input)
      await fake.onSend?.(input)
      unavailable()
      const failure = fake.sendFailures.shift()
      if (failure) return { status: 'failed', failure, ...(await resultOf(input)) }
      return await oneAtATime(input.outgoingPaymentId, () => sendSlice(input))
    },
    // As a connector that was started anew: it remembers nothing of what it sent.
    async settle() {
      unavailable()
      return { status: 'unknown' }
    },
    async getPrice({ sourceAssetCode, destinationAssetCode }) {
      unavailable()
      const price = fake.prices[`${sourceAssetCode} ${destinationAssetCode}`]
      if (price === undefined) throw new ConnectorRefusal('rates_unavailable', { message: 'no price' })
      return parseRate(price)
    },
    async close() {},
  }
  return fake
}
