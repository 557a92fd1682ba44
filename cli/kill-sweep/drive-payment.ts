import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { AdminApiError } from '../../examples/mock-wallet/index.ts'
import {
  createOutgoingPayment,
  createQuote,
  createReceiver,
  getOutgoing,
  type OutgoingAnswer,
  type PaymentPlan,
} from '../payment.ts'

export interface Driven {
  incomingPaymentId: string
  outgoing: OutgoingAnswer
}

const PAUSE_MS = 100

const isRefusal = (error: unknown): boolean => error instanceof AdminApiError && error.isFinal

/** As a wallet does whose bank may be away: the same again, until there is an answer. What is refused for good is thrown. */
async function insist<T>(until: number, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (isRefusal(error) || Date.now() > until) throw error
      await sleep(PAUSE_MS)
    }
  }
}

/** A payment from the receiver to the end, by a wallet that gives up at nothing; wallets have withdrawn what is theirs. */
export async function drivePayment(plan: PaymentPlan): Promise<Driven> {
  const until = Date.now() + plan.timeoutMs
  const { payer, payee } = plan
  const receiver = await insist(until, () => createReceiver(plan))
  const quote = await insist(until, () => createQuote(plan, receiver))
  const key = randomUUID()
  const id = await insist(until, () => createOutgoingPayment(plan, quote.id, key))
  await payer.journal.wait(['outgoing_payment.completed', 'outgoing_payment.failed'], id, plan.timeoutMs)
  const outgoing = await insist(until, () => getOutgoing(payer.bank, id))
  const incomingPaymentId = receiver.slice(-36)
  if (outgoing.state === 'COMPLETED')
    await payee.journal.wait('incoming_payment.completed', incomingPaymentId, plan.timeoutMs)
  await Promise.all([payer.bank.wallet.settled(), payee.bank.wallet.settled()])
  return { incomingPaymentId, outgoing }
}
