import { createDb, sql } from '../../shared/platform/index.ts'
import { waitFor } from '../../shared/testing/index.ts'
import type { BankName } from '../bank-settings.ts'
import {
  createOutgoingPayment,
  createQuote,
  createReceiver,
  getOutgoing,
  type OutgoingAnswer,
  type PaymentPlan,
} from '../payment.ts'
import type { TestBanks } from './test-banks.ts'

export interface Running {
  plan: PaymentPlan
  id: string
  incomingPaymentId: string
}

/** Payments of 500 that wait for their money: they all begin at once when it is released. */
export async function prepare(
  banks: Pick<TestBanks, 'side'>,
  payee: [bank: BankName, customer: string],
  count: number,
  timeoutMs: number,
): Promise<Running[]> {
  const plan: PaymentPlan = {
    payer: banks.side('a', 'alice'),
    payee: banks.side(...payee),
    receiveValue: 500n,
    timeoutMs,
  }
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const receiverUrl = await createReceiver(plan)
      const quote = await createQuote(plan, receiverUrl)
      const id = await createOutgoingPayment(plan, quote.id)
      return { plan, id, incomingPaymentId: receiverUrl.split('/').at(-1) ?? '' }
    }),
  )
}

const DEPOSIT = `mutation Deposit($input: DepositOutgoingPaymentLiquidityInput!) {
  depositOutgoingPaymentLiquidity(input: $input) { success } }`

/** Deposits what a prepared payment waits for, beside its wallet, which may do so too. Throws what the Admin API refuses. */
export async function deposit({ plan, id }: Running): Promise<void> {
  const input = { outgoingPaymentId: id, idempotencyKey: `deposit ${id}` }
  await plan.payer.bank.admin.graphql(DEPOSIT, { input })
}

/** How many transfers of packets the bank's ledger has, holds and their posts each for themselves. */
export async function moved(banks: TestBanks, name: BankName): Promise<number> {
  const db = createDb({ connectionString: banks.databases[name].resources, poolSizeMax: 1 })
  try {
    return await db.one(
      (row) => Number(row.count),
      sql`select count(*) as count from ledger.transfers where code = 1 and kind in (0, 2)`,
    )
  } finally {
    await db.close()
  }
}

/** Until so many packets have moved money on that bank: the rest is on its way or about to be. */
export const untilMoved = (banks: TestBanks, name: BankName, count: number, timeoutMs: number) =>
  waitFor(async () => (await moved(banks, name)) >= count, timeoutMs)

/** Every payment ends once, and its wallet hears of it. */
export async function ended(payments: readonly Running[]): Promise<OutgoingAnswer[]> {
  return await Promise.all(
    payments.map(async ({ plan, id }) => {
      const { journal, bank } = plan.payer
      await journal.wait(['outgoing_payment.completed', 'outgoing_payment.failed'], id, plan.timeoutMs)
      return await getOutgoing(bank, id)
    }),
  )
}
