import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createDb, type DbPool, sql, uuidv7 } from '../shared/platform/index.ts'
import { createQuote, createReceiver, getOutgoing, type PaymentPlan } from './payment.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 20_000

const FROM_INCOMING = `mutation FromIncoming($input: CreateOutgoingPaymentFromIncomingPaymentInput!) {
  createOutgoingPaymentFromIncomingPayment(input: $input) { payment { id } } }`
const FROM_QUOTE = `mutation FromQuote($input: CreateOutgoingPaymentInput!) {
  createOutgoingPayment(input: $input) { payment { id } } }`

/**
 * A wallet asks under an idempotency key and never hears the answer: the node died between the effect and its record, or lost its
 * database at that moment. The wallet asks again, as it should, and must not pay twice.
 */
describe('a request whose answer was lost', () => {
  let banks: TestBanks
  let db: DbPool
  before(async () => {
    banks = await startTestBanks()
    db = createDb({ connectionString: banks.databases.a.resources, poolSizeMax: 1 })
  })
  after(async () => {
    await db.close()
    await banks.close()
  })

  const losses: [string, () => Promise<unknown>][] = [
    [
      'the node died before it kept the answer',
      () =>
        db.execute(
          sql`update idempotency_keys set result = null, locked_until = now() - interval '1 second'`,
        ),
    ],
    [
      'the node took the effect for a failure',
      () => db.execute(sql`update idempotency_keys set result = null, locked_until = now()`),
    ],
  ]
  const plan = (): PaymentPlan => ({
    payer: banks.side('a', 'alice'),
    payee: banks.side('b', 'bob'),
    receiveValue: 500n,
    timeoutMs,
  })
  const payments = () =>
    db.one((row) => Number(row.count), sql`select count(*) as count from outgoing_payments`)

  for (const [name, lose] of losses)
    it(`is carried out once: ${name}`, async () => {
      const { payer, payee } = plan()
      const receiver = await createReceiver({ ...plan(), payer, payee })
      const before = await payments()
      const ask = async () => {
        const answer = await payer.bank.admin.graphql<{
          createOutgoingPaymentFromIncomingPayment: { payment: { id: string } }
        }>(FROM_INCOMING, {
          input: {
            walletAddressId: payer.walletAddress.id,
            incomingPayment: receiver,
            idempotencyKey: `rent ${name}`,
          },
        })
        return answer.createOutgoingPaymentFromIncomingPayment.payment.id
      }
      const id = await ask()
      await lose()
      assert.equal(await ask(), id)
      await payer.journal.wait('outgoing_payment.completed', id, timeoutMs)
      // The receiver takes no more money now, and the answer is still the same.
      await lose()
      assert.equal(await ask(), id)
      assert.equal(await payments(), before + 1)
      assert.equal((await getOutgoing(payer.bank, id)).sentAmount.value, '550')
    })

  for (const [name, lose] of losses)
    it(`spends its quote once, and says so again: ${name}`, async () => {
      const { payer } = plan()
      const quote = await createQuote(plan(), await createReceiver(plan()))
      const ask = async (idempotencyKey: string) => {
        const answer = await payer.bank.admin.graphql<{ createOutgoingPayment: { payment: { id: string } } }>(
          FROM_QUOTE,
          { input: { walletAddressId: payer.walletAddress.id, quoteId: quote.id, idempotencyKey } },
        )
        return answer.createOutgoingPayment.payment.id
      }
      const key = uuidv7()
      assert.equal(await ask(key), quote.id)
      await lose()
      assert.equal(await ask(key), quote.id)
      // Another request for the same quote is another request.
      await assert.rejects(ask(uuidv7()))
      await payer.journal.wait('outgoing_payment.completed', quote.id, timeoutMs)
    })

  it('leaves the books in order', () => banks.audit())
})
