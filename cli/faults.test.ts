import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createOutgoingPayment, createQuote, createReceiver, getOutgoing, pay } from './payment.ts'
import { type PeerProxy, startPeerProxy } from './testing/peer-proxy.ts'
import { plainPlans, startTestBanks, stopDeployable, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 30_000
const oneAttempt = { MAX_OUTGOING_PAYMENT_RETRY_ATTEMPTS: '1' }

async function withBanks(
  options: Parameters<typeof startTestBanks>[0],
  work: (banks: TestBanks) => Promise<void>,
): Promise<void> {
  const banks = await startTestBanks(options)
  try {
    await work(banks)
    await banks.audit()
  } finally {
    await banks.close()
  }
}

/** A proxy that A sees as B's connector. */
async function withProxy(
  environment: Record<string, string>,
  work: (banks: TestBanks, proxy: PeerProxy) => Promise<void>,
): Promise<void> {
  let target = ''
  const proxy = await startPeerProxy(() => target)
  try {
    await withBanks(
      { environments: { a: environment, b: { ILP_CONNECTOR_URL: proxy.url } } },
      async (banks) => {
        target = `http://127.0.0.1:${banks.b.settings.ports.connector}`
        await work(banks, proxy)
      },
    )
  } finally {
    await proxy.close()
  }
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code)
const reasonOf = (error: unknown): string => String((error as { reason?: unknown }).reason)

describe('payments when something is wrong', { concurrency: 3 }, () => {
  it('F23: waits for a peer that is down for a moment, and completes', () =>
    withProxy({}, async (banks, proxy) => {
      const plan = {
        payer: banks.side('a', 'alice'),
        payee: banks.side('b', 'bob'),
        receiveValue: 500n,
        timeoutMs,
      }
      const receiverUrl = await createReceiver(plan)
      const quote = await createQuote(plan, receiverUrl)
      proxy.behave({ kind: 'down' })
      setTimeout(() => proxy.behave({ kind: 'pass' }), 1_500)
      const id = await createOutgoingPayment(plan, quote.id)
      await plan.payer.journal.wait('outgoing_payment.completed', id, timeoutMs)
      assert.equal((await getOutgoing(banks.a, id)).sentAmount.value, '550')
    }))

  it('fails with the whole amount refundable when the peer stays down', () =>
    withProxy(oneAttempt, async (banks, proxy) => {
      const plan = {
        payer: banks.side('a', 'alice'),
        payee: banks.side('b', 'bob'),
        receiveValue: 500n,
        timeoutMs,
      }
      const receiverUrl = await createReceiver(plan)
      const quote = await createQuote(plan, receiverUrl)
      proxy.behave({ kind: 'down' })
      const id = await createOutgoingPayment(plan, quote.id)
      const failed = await plan.payer.journal.wait('outgoing_payment.failed', id, timeoutMs)
      assert.equal(failed.data.balance, '556')
      const payment = await getOutgoing(banks.a, id)
      assert.equal(payment.state, 'FAILED')
      assert.equal(payment.sentAmount.value, '0')
      assert.ok(payment.error)
    }))

  it('F1: posts the fulfilment of a peer that answers after 6 s', () =>
    withProxy({ TIGERBEETLE_TWO_PHASE_TIMEOUT_SECONDS: '5' }, async (banks, proxy) => {
      const plan = {
        payer: banks.side('a', 'alice'),
        payee: banks.side('b', 'bob'),
        receiveValue: 500n,
        timeoutMs,
      }
      const receiverUrl = await createReceiver(plan)
      const quote = await createQuote(plan, receiverUrl)
      proxy.behave({ kind: 'slow', delayMs: 6_000 })
      const id = await createOutgoingPayment(plan, quote.id)
      await plan.payer.journal.wait('outgoing_payment.completed', id, timeoutMs)
      assert.equal((await getOutgoing(banks.a, id)).sentAmount.value, '550')
    }))

  it('pays once when the peer has the packet and its answer is lost on the way', () =>
    withProxy({}, async (banks, proxy) => {
      const payer = banks.side('a', 'alice')
      const payee = banks.side('b', 'bob')
      // One receiver wants a certain amount, the other takes what comes.
      for (const receiveValue of [500n, undefined]) {
        const plan = { payer, payee, timeoutMs, ...(receiveValue !== undefined && { receiveValue }) }
        const receiverUrl = await createReceiver(plan)
        const quote = await createQuote({ ...plan, ...(!receiveValue && { debitValue: 556n }) }, receiverUrl)
        proxy.behave({ kind: 'losing', answers: 2 })
        const id = await createOutgoingPayment(plan, quote.id)
        await payer.journal.wait('outgoing_payment.completed', id, timeoutMs)
        assert.equal((await getOutgoing(banks.a, id)).sentAmount.value, '550')
      }
    }))

  it('F10: refuses a cross-currency quote while rates are away; same currency goes on', () =>
    withBanks({ environments: { a: { EXCHANGE_RATES_URL: 'http://127.0.0.1:9/rates' } } }, async (banks) => {
      const payer = banks.side('a', 'alice')
      await assert.rejects(
        pay({ payer, payee: banks.side('b', 'bob'), receiveValue: 500n, timeoutMs }),
        (error) => reasonOf(error) === 'rates_unavailable',
      )
      const outcome = await pay({ payer, payee: banks.side('b', 'bahati'), receiveValue: 500n, timeoutMs })
      assert.equal(outcome.outgoing.state, 'COMPLETED')
    }))

  it('fails a local cross-currency payment when the asset has too little liquidity', () =>
    withBanks(
      {
        environments: { a: oneAttempt },
        plans: { a: { ...plainPlans.a, assetLiquidity: 100n }, b: plainPlans.b },
      },
      async (banks) => {
        const outcome = await pay({
          payer: banks.side('a', 'alice'),
          payee: banks.side('a', 'amara'),
          receiveValue: 500n,
          timeoutMs,
        })
        assert.equal(outcome.outgoing.state, 'FAILED')
        assert.equal(outcome.outgoing.sentAmount.value, '0')
        assert.equal(outcome.refundable, 550n)
      },
    ))

  it('fails a remote payment when the peer gives too little credit', () =>
    withBanks(
      {
        environments: { a: oneAttempt },
        plans: { a: plainPlans.a, b: { ...plainPlans.b, peerLiquidity: 100n } },
      },
      async (banks) => {
        const outcome = await pay({
          payer: banks.side('a', 'alice'),
          payee: banks.side('b', 'bob'),
          receiveValue: 500n,
          timeoutMs,
        })
        assert.equal(outcome.outgoing.state, 'FAILED')
        assert.equal(outcome.refundable + BigInt(outcome.outgoing.sentAmount.value), 556n)
      },
    ))

  it('refuses an expired quote and an unknown receiver', () =>
    withBanks({ environments: { a: { QUOTE_LIFESPAN: '50' } } }, async (banks) => {
      const plan = {
        payer: banks.side('a', 'alice'),
        payee: banks.side('b', 'bob'),
        receiveValue: 500n,
        timeoutMs,
      }
      const receiverUrl = await createReceiver(plan)
      const quote = await createQuote(plan, receiverUrl)
      await new Promise((resolve) => setTimeout(resolve, 100))
      await assert.rejects(
        createOutgoingPayment(plan, quote.id),
        (error) => codeOf(error) === 'BAD_USER_INPUT',
      )
      const unknown = receiverUrl.replace(/[0-9a-f-]{36}$/, '00000000-0000-4000-8000-000000000000')
      await assert.rejects(createQuote(plan, unknown), (error) =>
        ['BAD_USER_INPUT', 'NOT_FOUND'].includes(codeOf(error)),
      )
    }))

  it('F3: never completes with nothing sent when the receiver cannot be reached', () =>
    withBanks({ environments: { a: oneAttempt } }, async (banks) => {
      const plan = {
        payer: banks.side('a', 'alice'),
        payee: banks.side('b', 'bob'),
        receiveValue: 500n,
        timeoutMs,
      }
      const receiverUrl = await createReceiver(plan)
      const quote = await createQuote(plan, receiverUrl)
      const resume = banks.a.wallet.holdDeposits()
      const id = await createOutgoingPayment(plan, quote.id)
      await stopDeployable(banks.b, 'open-payments')
      resume()
      const failed = await plan.payer.journal.wait('outgoing_payment.failed', id, timeoutMs)
      assert.equal(failed.data.balance, '556')
      const payment = await getOutgoing(banks.a, id)
      assert.equal(payment.state, 'FAILED')
      assert.match(payment.error ?? '', /receiver/i)
    }))
})
