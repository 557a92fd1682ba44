import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, uuidv7 } from '../platform/index.ts'
import { createTestAccount, createTestNode, type TestNode } from '../testing/node.ts'
import { completeIncomingPayment, recordIncomingProgress } from './change-incoming-payment.ts'
import { createIncomingPayment } from './create-incoming-payment.ts'
import { beginLocalCredit, endLocalCredit, findForPackets } from './local-credits.ts'
import { ANNOUNCE_GRACE_MS } from './model.ts'

let node: TestNode
const connectorId = uuidv7()
let walletAddress: Awaited<ReturnType<typeof createTestAccount>>['walletAddress']
before(async () => {
  node = await createTestNode()
  ;({ walletAddress } = await createTestAccount(node))
})
after(() => node.close())

const create = () =>
  createIncomingPayment(node, {
    tenantId: walletAddress.tenantId,
    walletAddress,
    incomingAmount: {
      value: 100n,
      assetCode: walletAddress.asset.code,
      assetScale: walletAddress.asset.scale,
    },
    initiatedBy: 'ADMIN',
  })

/** Milliseconds until the end is announced. */
const announcedIn = async (id: string): Promise<number> => {
  const processAt = await node.db.one(
    (row) => row.process_at as Date,
    sql`select process_at from incoming_payments where id = ${id}`,
  )
  return processAt.getTime() - node.clock.nowMs()
}

test('the only creditor announces the end at once', async () => {
  const { id } = await create()
  assert.equal(await beginLocalCredit(node, id), true)
  const { changedTo } = await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.equal(changedTo, 'COMPLETED')
  assert.ok((await announcedIn(id)) <= 0)
})

test('another local credit under way delays the announcement', async () => {
  const { id } = await create()
  await beginLocalCredit(node, id)
  await beginLocalCredit(node, id)
  await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.ok((await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2)
})

test('one that ended without a credit delays nothing, and closes nothing', async () => {
  const { id } = await create()
  await beginLocalCredit(node, id)
  await beginLocalCredit(node, id)
  const { changedTo } = await endLocalCredit(node, { incomingPaymentId: id })
  assert.equal(changedTo, 'PENDING')
  await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.ok((await announcedIn(id)) <= 0)
})

test('packets that may be on their way delay it', async () => {
  const { id } = await create()
  assert.equal((await findForPackets(node, id, connectorId))?.state, 'PENDING')
  await beginLocalCredit(node, id)
  await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.ok((await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2)
})

test('an end is announced at once by the only connector, and after the grace where there are several', async () => {
  for (const connectors of [1, 2, 3]) {
    const { id } = await create()
    await Promise.all(Array.from({ length: connectors }, () => findForPackets(node, id, uuidv7())))
    await recordIncomingProgress(node, { incomingPaymentId: id, receivedAmount: 100n })
    assert.equal((await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2, connectors > 1, `${connectors} connectors`)
  }
})

test('a closed payment takes no local credit, and packets see that it is closed', async () => {
  const { id, tenantId } = await create()
  await completeIncomingPayment(node, { tenantId }, id)
  assert.equal(await beginLocalCredit(node, id), false)
  assert.equal((await findForPackets(node, id, connectorId))?.state, 'COMPLETED')
})

test('a packet that races a local end either delays its announcement or sees the end', async () => {
  for (let round = 0; round < 60; round++) {
    const { id } = await create()
    await beginLocalCredit(node, id)
    const [found] = await Promise.all([
      findForPackets(node, id, connectorId),
      endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n }),
    ])
    const isDelayed = (await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2
    assert.ok(
      isDelayed || found?.state === 'COMPLETED',
      `round ${round}: ${found?.state}, delayed: ${isDelayed}`,
    )
  }
})
