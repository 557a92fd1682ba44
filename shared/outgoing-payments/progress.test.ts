import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import { getSendProgress, recordSendProgress } from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
after(() => world.close())

const outgoing = async () => {
  const { url } = await world.incoming(world.carol)
  return await world.outgoing(world.alice, url, { debit: 500n })
}
const report = (sent: number, more: { fulfilled?: number; rejected?: number; code?: string } = {}) => ({
  sentAmount: BigInt(sent),
  deliveredAmount: BigInt(sent * 2),
  packets: { sent, fulfilled: more.fulfilled ?? 0, rejected: more.rejected ?? 0 },
  rejects: more.rejected ? [{ code: more.code ?? 'T04', triggeredBy: 'test.\0x', count: more.rejected }] : [],
})

test('reports that come at the same time, of several payments and out of order, leave the greatest of each', async () => {
  const payments = await Promise.all([outgoing(), outgoing(), outgoing()])
  const numbers = [3, 9, 1, 7, 5]
  await Promise.all(
    payments.flatMap(({ id }, place) =>
      numbers.map((sent) =>
        recordSendProgress(world.ctx, {
          ...report(sent + place, { fulfilled: 10 - sent, rejected: sent, code: `T0${sent}` }),
          outgoingPaymentId: id,
        }),
      ),
    ),
  )
  const read = () => Promise.all(payments.map(({ id }) => getSendProgress(world.ctx, id)))
  const found = await read()
  for (const [place, progress] of found.entries())
    assert.deepEqual(progress, {
      ...report(9 + place),
      packets: { sent: 9 + place, fulfilled: 9, rejected: 9 },
      rejects: [{ code: 'T09', triggeredBy: 'test.\uFFFDx', count: 9 }],
      state: 'FUNDING',
    })
  await recordSendProgress(world.ctx, { ...report(2), outgoingPaymentId: payments[0]?.id ?? '' })
  assert.deepEqual(await read(), found)
})

test('who asks for a payment that does not exist is told so, and the others are not', async () => {
  const { id } = await outgoing()
  const [found, missing] = await Promise.allSettled([
    getSendProgress(world.ctx, id),
    getSendProgress(world.ctx, uuidv7()),
  ])
  assert.equal(found?.status, 'fulfilled')
  assert.ok(missing?.status === 'rejected' && missing.reason.code === 'unknown_payment')
})
