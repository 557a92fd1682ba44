import type { WireAmount } from '../shared/money/index.ts'
import type { Bank } from './bank.ts'
import type { Journal, WalletEvent } from './journal.ts'

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

/** Does one step of something longer; `describe` says what came out of it. */
export type Step = <T>(name: string, work: () => Promise<T>, describe?: (result: T) => string) => Promise<T>

const quietly: Step = (_name, work) => work()

export interface PaymentOutcome {
  receiverUrl: string
  incomingPaymentId: string
  quote: QuoteAnswer
  outgoing: OutgoingAnswer
  /** What the completed or failed event said could be withdrawn. */
  refundable: bigint
  received?: WireAmount
}

/** `5.00 EUR` */
export function formatAmount(amount: WireAmount): string {
  const digits = amount.value.padStart(amount.assetScale + 1, '0')
  const whole = digits.slice(0, digits.length - amount.assetScale)
  return `${whole}${amount.assetScale > 0 ? `.${digits.slice(-amount.assetScale)}` : ''} ${amount.assetCode}`
}

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

export async function createOutgoingPayment(
  plan: PaymentPlan,
  quoteId: string,
  idempotencyKey?: string,
): Promise<string> {
  const { payer } = plan
  const answer = await payer.bank.admin.graphql<{ createOutgoingPayment: { payment: { id: string } } }>(
    OUTGOING,
    {
      input: {
        walletAddressId: payer.walletAddress.id,
        quoteId,
        ...(idempotencyKey !== undefined && { idempotencyKey }),
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

/** A payment as its event tells of it: no request for what the wallet knows already. */
function asAnswer({ data }: WalletEvent): OutgoingAnswer {
  const { id, state, error, debitAmount, sentAmount, receiveAmount } = data as unknown as OutgoingAnswer
  return { id, state, debitAmount, sentAmount, receiveAmount, ...(error && { error }) }
}

/** What the node still holds of a payment, in smallest units: nothing, once the wallet has withdrawn it. */
async function liquidityOf(bank: Bank, kind: 'outgoingPayment' | 'incomingPayment', id: string) {
  const answer = await bank.admin.graphql<Record<string, { liquidity: string | null }>>(
    `query Liquidity($id: String!) { ${kind}(id: $id) { liquidity } }`,
    { id },
  )
  return BigInt(answer[kind]?.liquidity ?? 0)
}

/** Waits for both wallets' withdrawals and says what was withdrawn. Throws when money stayed behind. */
export async function awaitWithdrawals(
  plan: PaymentPlan,
  outcome: PaymentOutcome,
): Promise<{ payer: WireAmount; payee: WireAmount }> {
  const { payer, payee } = plan
  await Promise.all([payer.bank.wallet.settled(), payee.bank.wallet.settled()])
  const refunded = { ...outcome.outgoing.debitAmount, value: outcome.refundable.toString() }
  const received = outcome.received ?? { ...outcome.quote.receiveAmount, value: '0' }
  const left = await Promise.all([
    liquidityOf(payer.bank, 'outgoingPayment', outcome.outgoing.id),
    liquidityOf(payee.bank, 'incomingPayment', outcome.incomingPaymentId),
  ])
  if (left.some((value) => value !== 0n))
    throw new Error(`not withdrawn: ${left[0]} of the payer's, ${left[1]} of the payee's`)
  return { payer: refunded, payee: received }
}

/** Runs a payment from receiver to completed webhooks, by the public interfaces alone. The wallets deposit and withdraw. */
export async function pay(plan: PaymentPlan, step: Step = quietly): Promise<PaymentOutcome> {
  const { payer, payee } = plan
  const receiverUrl = await step(
    "createReceiver: the payer's bank asks the payee's for a grant, and for an incoming payment",
    () => createReceiver(plan),
    (url) => url,
  )
  const quote = await step(
    'createQuote: packets that nobody can fulfil measure the path; nothing moves',
    () => createQuote(plan, receiverUrl),
    ({ debitAmount, receiveAmount }) =>
      `debits ${formatAmount(debitAmount)} at most, delivers ${formatAmount(receiveAmount)}`,
  )
  const id = await step(
    'createOutgoingPayment: the quote is accepted',
    () => createOutgoingPayment(plan, quote.id),
    (paymentId) => paymentId,
  )
  await step(
    "webhook outgoing_payment.created: the payer's wallet reserves the money, then deposits it",
    () => payer.journal.wait('outgoing_payment.created', id, plan.timeoutMs),
    (event) => `${formatAmount(event.data.debitAmount as WireAmount)}, event ${event.id}`,
  )
  const ended = await step(
    "ILP packets from the payer's connector to the payee's; webhook outgoing_payment.completed",
    () => payer.journal.wait(['outgoing_payment.completed', 'outgoing_payment.failed'], id, plan.timeoutMs),
    ({ data }) => {
      const sent = data.sentAmount as WireAmount
      return `sent ${formatAmount(sent)}; ${formatAmount({ ...sent, value: String(data.balance) })} left over`
    },
  )
  const incomingPaymentId = receiverUrl.split('/').at(-1) ?? ''
  const outcome: PaymentOutcome = {
    receiverUrl,
    incomingPaymentId,
    quote,
    outgoing: asAnswer(ended),
    refundable: BigInt(String(ended.data.balance)),
  }
  if (ended.type === 'outgoing_payment.failed') return outcome
  if (plan.receiveValue === undefined) return outcome
  const completed = await step(
    "webhook incoming_payment.completed at the payee's wallet",
    () => payee.journal.wait('incoming_payment.completed', incomingPaymentId, plan.timeoutMs),
    (event) => `received ${formatAmount(event.data.receivedAmount as WireAmount)}`,
  )
  return { ...outcome, received: completed.data.receivedAmount as WireAmount }
}
