import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { createOutgoingPayment, createQuote, createReceiver, getOutgoing, pay } from './payment.ts'
import { packetCounts } from './testing/books.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 15_000

describe('payments between and within two banks', () => {
  let banks: TestBanks
  before(async () => {
    banks = await startTestBanks()
  })
  after(() => banks.close())
  afterEach(() => banks.audit())

  const customers = {
    aliceUsd: () => banks.side('a', 'alice'),
    amaraEur: () => banks.side('a', 'amara'),
    bobEur: () => banks.side('b', 'bob'),
    bahatiUsd: () => banks.side('b', 'bahati'),
  }

  it('delivers exactly 500 EUR cents across banks: debit 556, sent 550 in one packet', async () => {
    const outcome = await pay({
      payer: customers.aliceUsd(),
      payee: customers.bobEur(),
      receiveValue: 500n,
      timeoutMs,
    })
    assert.equal(outcome.outgoing.state, 'COMPLETED')
    assert.equal(outcome.quote.debitAmount.value, '556')
    assert.equal(outcome.quote.receiveAmount.value, '500')
    assert.equal(outcome.outgoing.sentAmount.value, '550')
    assert.equal(outcome.refundable, 6n)
    assert.equal(outcome.received?.value, '500')
    assert.deepEqual(await packetsOf(outcome.outgoing.id), { fulfilled: 1 })
    // The event told the wallet what the Admin API tells.
    const { error, ...told } = await getOutgoing(banks.a, outcome.outgoing.id)
    assert.equal(error, null)
    assert.deepEqual(outcome.outgoing, told)
  })

  it('delivers exactly 500 EUR cents within a bank: debit 550, nothing left', async () => {
    const outcome = await pay({
      payer: customers.aliceUsd(),
      payee: customers.amaraEur(),
      receiveValue: 500n,
      timeoutMs,
    })
    assert.equal(outcome.quote.debitAmount.value, '550')
    assert.equal(outcome.outgoing.sentAmount.value, '550')
    assert.equal(outcome.refundable, 0n)
    assert.equal(outcome.received?.value, '500')
  })

  it('sends a fixed 50 of one currency across banks: 49 delivered, 1 refundable', async () => {
    const outcome = await pay({
      payer: customers.aliceUsd(),
      payee: customers.bahatiUsd(),
      debitValue: 50n,
      timeoutMs,
    })
    assert.equal(outcome.quote.debitAmount.value, '50')
    assert.equal(outcome.quote.receiveAmount.value, '49')
    assert.equal(outcome.outgoing.state, 'COMPLETED')
    assert.equal(outcome.outgoing.sentAmount.value, '49')
    assert.equal(outcome.refundable, 1n)
    assert.equal(await receivedAt('b', outcome.incomingPaymentId), '49')
    assert.deepEqual(await packetsOf(outcome.outgoing.id), { fulfilled: 1 })
  })

  it('delivers a fixed amount of one currency across banks', async () => {
    const outcome = await pay({
      payer: customers.aliceUsd(),
      payee: customers.bahatiUsd(),
      receiveValue: 1_000n,
      timeoutMs,
    })
    assert.equal(outcome.outgoing.sentAmount.value, '1000')
    assert.equal(outcome.received?.value, '1000')
  })

  it('sends a fixed amount within a bank, same and cross currency', async () => {
    const toEur = await pay({
      payer: customers.aliceUsd(),
      payee: customers.amaraEur(),
      debitValue: 1_001n,
      timeoutMs,
    })
    // floor(1001 × 0.91) = floor(910.91)
    assert.equal(toEur.quote.receiveAmount.value, '910')
    assert.equal(toEur.outgoing.sentAmount.value, '1001')
    assert.equal(await receivedAt('a', toEur.incomingPaymentId), '910')
  })

  it('pays from B to A as well', async () => {
    const outcome = await pay({
      payer: customers.bobEur(),
      payee: customers.aliceUsd(),
      receiveValue: 700n,
      timeoutMs,
    })
    assert.equal(outcome.outgoing.state, 'COMPLETED')
    // 637 EUR cents give floor(699.9993) USD cents, so the packet is 638, and the receiver takes what passes its amount.
    assert.equal(outcome.outgoing.sentAmount.value, '638')
    assert.equal(outcome.received?.value, '701')
  })

  it('collects several payments into one incoming payment', async () => {
    const payee = customers.bobEur()
    const receiverUrl = await createReceiver({
      payer: customers.aliceUsd(),
      payee,
      receiveValue: 900n,
      timeoutMs,
    })
    const payInto = async (debitValue?: bigint) => {
      const payer = customers.aliceUsd()
      const plan = { payer, payee, timeoutMs, ...(debitValue !== undefined && { debitValue }) }
      const quote = await createQuote(plan, receiverUrl)
      const id = await createOutgoingPayment(plan, quote.id)
      await payer.journal.wait('outgoing_payment.completed', id, timeoutMs)
      return getOutgoing(payer.bank, id)
    }
    const incomingPaymentId = receiverUrl.split('/').at(-1) ?? ''
    const first = await payInto(400n)
    const second = await payInto(400n)
    assert.equal(first.state, 'COMPLETED')
    assert.equal(second.state, 'COMPLETED')
    // Each quote promises ceil(399 × 0.9009) = 360.
    assert.equal(await receivedAt('b', incomingPaymentId), '720')
    // The third names no amount and pays what is still wanted.
    const third = await payInto()
    assert.equal(third.receiveAmount.value, '180')
    const completed = await payee.journal.wait('incoming_payment.completed', incomingPaymentId, timeoutMs)
    assert.deepEqual(completed.data.receivedAmount, { value: '900', assetCode: 'EUR', assetScale: 2 })
  })

  /** Fulfilled packets of a payment, as the books have them. */
  async function packetsOf(outgoingPaymentId: string): Promise<{ fulfilled: number }> {
    return packetCounts(banks.databases.a.resources, outgoingPaymentId)
  }

  async function receivedAt(bank: 'a' | 'b', incomingPaymentId: string): Promise<string> {
    const { incomingPayment } = await banks[bank].admin.graphql<{
      incomingPayment: { receivedAmount: { value: string } }
    }>('query($id: String!) { incomingPayment(id: $id) { receivedAmount { value } } }', {
      id: incomingPaymentId,
    })
    return incomingPayment.receivedAmount.value
  }
})
