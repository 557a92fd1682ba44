import type { WireAmount } from '../shared/money/index.ts'
import type { Bank } from './bank.ts'
import type { Journal } from './journal.ts'

/** One side of a payment: a bank, what its wallet was told, and the customer's wallet address. */
export interface Side {
  bank: Bank
  journal: Journal
  walletAddress: { id: string; address: string; assetCode: string }
}

export interface PaymentPlan {
  payer: Side
  payee: Side
  /** Exactly one of them, in smallest units. */
  debitValue?: bigint
  receiveValue?: bigint
  metadata?: Record<string, unknown>
  timeoutMs: number
}

export interface QuoteAnswer {
  id: string
  debitAmount: WireAmount
  receiveAmount: WireAmount
}

export interface OutgoingAnswer {
  id: string
  state: string
  debitAmount: WireAmount
  sentAmount: WireAmount
  receiveAmount: WireAmount
  error?: string | null
}

/** Called as each step ends, with its name and its time in milliseconds. */
export type Observe = (step: string, durationMs: number, detail: string) => void

export interface PaymentOutcome {
  receiverUrl: string
  incomingPaymentId: string
  quote: QuoteAnswer
  outgoing: OutgoingAnswer
  /** What the completed or failed event said could be withdrawn. */
  refundable: bigint
  received?: WireAmount
}

const text = (amount: WireAmount): string => {
  const digits = amount.value.padStart(amount.assetScale + 1, '0')
  const whole = digits.slice(0, digits.length - amount.assetScale)
  return `${whole}${amount.assetScale > 0 ? `.${digits.slice(-amount.assetScale)}` : ''} ${amount.assetCode}`
}
export const formatAmount = text

const RECEIVER = `mutation CreateReceiver($input: CreateReceiverInput!) {
  createReceiver(input: $input) { receiver { id walletAddressUrl incomingAmount { value assetCode assetScale } } } }`
const QUOTE = `mutation CreateQuote($input: CreateQuoteInput!) {
  createQuote(input: $input) { quote { id debitAmount { value assetCode assetScale } receiveAmount { value assetCode assetScale } } } }`
const OUTGOING = `mutation CreateOutgoingPayment($input: CreateOutgoingPaymentInput!) {
  createOutgoingPayment(input: $input) { payment { id state } } }`
const OUTGOING_BY_ID = `query OutgoingPayment($id: String!) { outgoingPayment(id: $id) {
  id state error debitAmount { value assetCode assetScale } sentAmount { value assetCode assetScale } receiveAmount { value assetCode assetScale } } }`

const ASSET_SCALE = 2

export async function createReceiver(plan: PaymentPlan): Promise<string> {
  const { payer, payee } = plan
  const { createReceiver: answer } = await payer.bank.admin.graphql<{
    createReceiver: { receiver: { id: string } }
  }>(RECEIVER, {
    input: {
      walletAddressUrl: payee.walletAddress.address,
      ...(plan.receiveValue !== undefined && {
        incomingAmount: {
          value: plan.receiveValue.toString(),
          assetCode: payee.walletAddress.assetCode,
          assetScale: ASSET_SCALE,
        },
      }),
      metadata: plan.metadata ?? { description: 'npm start' },
    },
  })
  return answer.receiver.id
}

export async function createQuote(plan: PaymentPlan, receiverUrl: string): Promise<QuoteAnswer> {
  const { payer } = plan
  const { createQuote: answer } = await payer.bank.admin.graphql<{ createQuote: { quote: QuoteAnswer } }>(
    QUOTE,
    {
      input: {
        walletAddressId: payer.walletAddress.id,
        receiver: receiverUrl,
        ...(plan.debitValue !== undefined && {
          debitAmount: {
            value: plan.debitValue.toString(),
            assetCode: payer.walletAddress.assetCode,
            assetScale: ASSET_SCALE,
          },
        }),
      },
    },
  )
  return answer.quote
}

export async function createOutgoingPayment(plan: PaymentPlan, quoteId: string): Promise<string> {
  const { payer } = plan
  const answer = await payer.bank.admin.graphql<{ createOutgoingPayment: { payment: { id: string } } }>(
    OUTGOING,
    {
      input: {
        walletAddressId: payer.walletAddress.id,
        quoteId,
        ...(plan.metadata && { metadata: plan.metadata }),
      },
    },
  )
  return answer.createOutgoingPayment.payment.id
}

export async function getOutgoing(bank: Bank, id: string): Promise<OutgoingAnswer> {
  const { outgoingPayment } = await bank.admin.graphql<{ outgoingPayment: OutgoingAnswer }>(OUTGOING_BY_ID, {
    id,
  })
  return outgoingPayment
}

/** Runs a payment from receiver to completed webhooks, by the public interfaces alone. The wallets deposit and withdraw. */
export async function pay(plan: PaymentPlan, observe: Observe = () => undefined): Promise<PaymentOutcome> {
  const { payer, payee } = plan
  const timed = async <T>(
    step: string,
    work: () => Promise<T>,
    detail: (result: T) => string,
  ): Promise<T> => {
    const startedAt = performance.now()
    const result = await work()
    observe(step, performance.now() - startedAt, detail(result))
    return result
  }
  const receiverUrl = await timed(
    'createReceiver',
    () => createReceiver(plan),
    (url) => url,
  )
  const quote = await timed(
    'createQuote',
    () => createQuote(plan, receiverUrl),
    (result) => `debit ${text(result.debitAmount)}, deliver ${text(result.receiveAmount)}`,
  )
  const id = await timed(
    'createOutgoingPayment',
    () => createOutgoingPayment(plan, quote.id),
    (paymentId) => paymentId,
  )
  await timed(
    'outgoing_payment.created → wallet deposits',
    () => payer.journal.wait('outgoing_payment.created', id, plan.timeoutMs),
    (event) => `event ${event.id}`,
  )
  const ended = await timed(
    'STREAM → outgoing_payment.completed',
    () =>
      Promise.race([
        payer.journal.wait('outgoing_payment.completed', id, plan.timeoutMs),
        payer.journal.wait('outgoing_payment.failed', id, plan.timeoutMs),
      ]),
    (event) => `sent ${text(event.data.sentAmount as WireAmount)}, refundable ${String(event.data.balance)}`,
  )
  const incomingPaymentId = receiverUrl.split('/').at(-1) ?? ''
  const outcome: PaymentOutcome = {
    receiverUrl,
    incomingPaymentId,
    quote,
    outgoing: await getOutgoing(payer.bank, id),
    refundable: BigInt(String(ended.data.balance)),
  }
  if (ended.type === 'outgoing_payment.failed') return outcome
  if (plan.receiveValue === undefined) return outcome
  const completed = await timed(
    'incoming_payment.completed at the payee',
    () => payee.journal.wait('incoming_payment.completed', incomingPaymentId, plan.timeoutMs),
    (event) => `received ${text(event.data.receivedAmount as WireAmount)}`,
  )
  return { ...outcome, received: completed.data.receivedAmount as WireAmount }
}
