import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ChildBank, startChildBank } from './child-bank.ts'
import {
  createOutgoingPayment,
  createQuote,
  createReceiver,
  getOutgoing,
  type PaymentPlan,
} from './payment.ts'
import { endLeases } from './testing/leases.ts'
import { type PeerProxy, startPeerProxy } from './testing/peer-proxy.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 45_000

/**
 * A's payments worker runs in a process of its own and is killed with SIGKILL; another one takes over. Whatever the moment, the
 * payment ends once and the books hold.
 */
describe('F31: a payments worker that is killed', () => {
  let banks: TestBanks
  let proxy: PeerProxy
  let worker: ChildBank | undefined

  before(async () => {
    let target = ''
    proxy = await startPeerProxy(() => target)
    banks = await startTestBanks({
      environments: { b: { ILP_CONNECTOR_URL: proxy.url } },
      except: { a: ['payments'] },
    })
    target = `http://127.0.0.1:${banks.b.settings.ports.connector}`
  })
  after(async () => {
    await worker?.close()
    await banks.close()
    await proxy.close()
  })

  const startWorker = () =>
    startChildBank({ settings: banks.a.settings, environment: banks.a.environment, only: ['payments'] })

  const killWorker = async (dying: ChildBank) => {
    await dying.kill()
    await endLeases(banks.databases.a.resources)
  }

  const prepare = async (payeeBank: 'a' | 'b', payee: string) => {
    const plan: PaymentPlan = {
      payer: banks.side('a', 'alice'),
      payee: banks.side(payeeBank, payee),
      receiveValue: 500n,
      timeoutMs,
    }
    const receiverUrl = await createReceiver(plan)
    const quote = await createQuote(plan, receiverUrl)
    return { plan, id: await createOutgoingPayment(plan, quote.id) }
  }

  const completes = async ({ plan, id }: { plan: PaymentPlan; id: string }, sent: string) => {
    await plan.payer.journal.wait('outgoing_payment.completed', id, timeoutMs)
    const payment = await getOutgoing(plan.payer.bank, id)
    assert.equal(payment.state, 'COMPLETED')
    assert.equal(payment.sentAmount.value, sent)
    await banks.audit()
  }

  it('before sending: the next worker sends', async () => {
    worker = await startWorker()
    await killWorker(worker)
    const payment = await prepare('b', 'bob')
    await payment.plan.payer.journal.wait('outgoing_payment.created', payment.id, timeoutMs)
    worker = await startWorker()
    await completes(payment, '550')
    await worker.close()
  })

  it('while the packet is on its way: paid once', async () => {
    proxy.behave({ kind: 'slow', delayMs: 2_000 })
    worker = await startWorker()
    // The quote's probe passes the proxy too, slowly; only the payment matters here.
    const payment = await prepare('b', 'bob')
    const packetsBefore = proxy.packets
    const seen = Date.now() + timeoutMs
    while (proxy.packets === packetsBefore && Date.now() < seen)
      await new Promise((resolve) => setTimeout(resolve, 20))
    assert.ok(proxy.packets > packetsBefore, 'the packet left')
    await killWorker(worker)
    proxy.behave({ kind: 'pass' })
    worker = await startWorker()
    await completes(payment, '550')
    await worker.close()
  })

  it('at random moments of many payments, remote and local: each ends once', async () => {
    worker = await startWorker()
    const payments = await Promise.all(
      Array.from({ length: 24 }, (_, index) =>
        index % 2 === 0 ? prepare('b', 'bob') : prepare('a', 'amara'),
      ),
    )
    for (let kills = 0; kills < 5; kills++) {
      await new Promise((resolve) => setTimeout(resolve, 30 + kills * 45))
      await killWorker(worker)
      worker = await startWorker()
    }
    for (const payment of payments)
      await payment.plan.payer.journal.wait('outgoing_payment.completed', payment.id, timeoutMs)
    for (const { plan, id } of payments)
      assert.equal((await getOutgoing(plan.payer.bank, id)).sentAmount.value, '550')
    await banks.audit()
    await worker.close()
    worker = undefined
  })
})
