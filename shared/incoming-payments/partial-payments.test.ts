import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Db, type Row, sql, uuidv7 } from '../platform/index.ts'
import { waitFor } from '../testing/index.ts'
import { createTestAccount, createTestNode, type TestNode } from '../testing/node.ts'
import { createPartialDecisions } from './await-partial-decision.ts'
import { createIncomingPayment } from './create-incoming-payment.ts'
import type { Initiator } from './model.ts'
import {
  askAboutPartialPayment,
  decidePartialPayment,
  type PartialPayment,
  partialIncomingPaymentIdOf,
} from './partial-payments.ts'

let node: TestNode
let walletAddress: Awaited<ReturnType<typeof createTestAccount>>['walletAddress']
before(async () => {
  node = await createTestNode()
  ;({ walletAddress } = await createTestAccount(node))
})
after(() => node.close())

async function newPartial(initiatedBy: Initiator = 'ADMIN'): Promise<PartialPayment> {
  const { id } = await createIncomingPayment(node, {
    tenantId: walletAddress.tenantId,
    walletAddress,
    initiatedBy,
  })
  return { incomingPaymentId: id, partialIncomingPaymentId: uuidv7(), dataFromSender: 'words' }
}

/** In place of the database's announcements. */
function announcer() {
  const handlers: ((payload: string | undefined) => void)[] = []
  return {
    listener: { listen: (_channel: string, handler: (typeof handlers)[number]) => handlers.push(handler) },
    announce: (payload?: string) => {
      for (const handler of handlers) handler(payload)
    },
  }
}

const waiting = (
  listener: ReturnType<typeof announcer>['listener'],
  ctx: Omit<TestNode, 'close' | 'db'> & { db: Db } = node,
) =>
  createPartialDecisions(
    { ...ctx, listener: { listen: (channel, handler) => void listener.listen(channel, handler) } },
    { maxWaitMs: 5_000, safetyMarginMs: 100 },
  )
const isAsked = async ({ partialIncomingPaymentId: id }: PartialPayment) => {
  while (
    (await node.db.execute(
      sql`select from incoming_payment_decisions where partial_incoming_payment_id = ${id}`,
    )) === 0
  )
    await new Promise(setImmediate)
}
const in20s = () => node.clock.fromNow(20_000)

test('a decision is heard of by its announcement, long before anybody looks again', async () => {
  const { listener, announce } = announcer()
  let looks = 0
  const db: Db = {
    ...node.db,
    async maybe(map, query) {
      const found = await node.db.maybe(map, query)
      if (found === undefined) looks++
      return found
    },
  }
  const decisions = waiting(listener, { ...node, db })
  for (const isNewConnection of [false, true]) {
    const delays: number[] = []
    for (let round = 0; round < 5; round++) {
      const partial = await newPartial()
      const decided = decisions.decide(partial, in20s())
      looks = 0
      await waitFor(() => looks > 0)
      await decidePartialPayment(node, 'all', { ...partial, accepted: true })
      const startedAt = performance.now()
      announce(uuidv7())
      announce(isNewConnection ? undefined : partial.partialIncomingPaymentId)
      assert.deepEqual(await decided, { accepted: true })
      delays.push(performance.now() - startedAt)
    }
    // Unheard, each would take most of the 250 ms between two looks.
    assert.ok(Math.min(...delays) < 100, delays.join())
  }
})

test('a decision whose announcement is lost is found all the same', async () => {
  const partial = await newPartial()
  const decided = waiting(announcer().listener).decide(partial, in20s())
  await isAsked(partial)
  await decidePartialPayment(node, 'all', { ...partial, accepted: false, reason: 'no' })
  assert.deepEqual(await decided, { accepted: false, reason: 'no' })
})

test('asking many times at once is one event; it goes to the POS service too when the payment is a card’s', async () => {
  const ctx = {
    ...node,
    settings: { ...node.settings, posWebhookUrl: 'https://pos.example', sendTenantWebhooksToOperator: true },
  }
  for (const [initiatedBy, endpoints] of [
    ['CARD', ['pos', 'wallet']],
    ['ADMIN', ['wallet']],
  ] as const) {
    const partial = await newPartial(initiatedBy)
    const asked = await Promise.all(Array.from({ length: 10 }, () => askAboutPartialPayment(ctx, partial)))
    assert.ok(asked.every((isThere) => isThere))
    const found = await node.db.many(
      (row: Row) => row.endpoint as string,
      sql`select d.endpoint from webhook_deliveries d join webhook_events e on e.id = d.event_id
        where e.incoming_payment_id = ${partial.incomingPaymentId} and e.type like '%partial%' order by 1`,
    )
    assert.deepEqual(found, endpoints)
  }
})

test('a payment that is gone is not asked about, and takes nothing', async () => {
  const partial = { ...(await newPartial()), incomingPaymentId: uuidv7() }
  assert.equal(await askAboutPartialPayment(node, partial), false)
  assert.deepEqual(await waiting(announcer().listener).decide(partial, in20s()), {
    accepted: false,
    reason: 'No response from receiving ASE',
  })
})

test('a database that is away is a fault, not a refusal', async () => {
  const partial = await newPartial()
  const error = new Error('away')
  const db = { ...node.db, execute: () => Promise.reject(error) }
  const decisions = createPartialDecisions(
    { ...node, db, listener: { listen: () => undefined } },
    { maxWaitMs: 1_000, safetyMarginMs: 100 },
  )
  await assert.rejects(decisions.decide(partial, in20s()), error)
})

test('a database that does not answer holds nobody beyond the wait', async () => {
  const partial = await newPartial()
  const db = { ...node.db, execute: () => new Promise<never>(() => undefined) }
  const decisions = createPartialDecisions(
    { ...node, db, listener: { listen: () => undefined } },
    { maxWaitMs: 60, safetyMarginMs: 100 },
  )
  assert.equal((await decisions.decide(partial, in20s())).accepted, false)
})

test('ids of partial payments follow from the packet and are UUIDs of version 8', () => {
  const ids = Array.from({ length: 200 }, (_, index) => partialIncomingPaymentIdOf(`packet ${index}`))
  assert.equal(new Set(ids).size, 200)
  for (const id of ids)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(partialIncomingPaymentIdOf('packet 7'), ids[7])
})
