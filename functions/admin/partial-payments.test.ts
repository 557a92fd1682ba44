import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { askAboutPartialPayment } from '../../shared/incoming-payments/index.ts'
import { type Row, sql, uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { type Party, startTestAdmin, type TestAdmin } from './harness.ts'

type Fields = Record<string, unknown>

describe('partial payments over the Admin API', () => {
  let admin: TestAdmin
  let bank: Party
  let walletAddressId: string
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'))
    bank = await admin.newTenant('bank')
    const assetId = (await make('createAsset', 'asset', { code: 'EUR', scale: 2 })).id
    const address = `${bank.prefix}/bob`
    walletAddressId = (await make('createWalletAddress', 'walletAddress', { assetId, address })).id
  })
  after(() => admin.close())

  const make = async (name: string, part: string, input: Fields) =>
    (await admin.succeed(bank, name, { input }))[part] as { id: string; url: string }

  async function newPartial() {
    const { id, url } = await make('createIncomingPayment', 'payment', { walletAddressId })
    const ids = { incomingPaymentId: id, partialIncomingPaymentId: uuidv7() }
    await askAboutPartialPayment(admin.node, { ...ids, dataFromSender: 'for Bob only' })
    return { ids, url }
  }
  const stored = (id: string) =>
    admin.node.db.one(
      (row: Row) => [row.accepted, row.reason],
      sql`select accepted, reason from incoming_payment_decisions where partial_incoming_payment_id = ${id}`,
    )
  const extensionsOf = async (name: string, input: Fields, party = bank) =>
    (await admin.call(party, name, { input })).errors?.[0]?.extensions

  it('confirms and rejects, as often as the wallet likes: the last word counts', async () => {
    const { ids } = await newPartial()
    const id = ids.partialIncomingPaymentId
    assert.deepEqual(await stored(id), [null, null])
    assert.deepEqual(await admin.succeed(bank, 'confirmPartialIncomingPayment', { input: ids }), {
      success: true,
    })
    assert.deepEqual(await stored(id), [true, null])
    const reason = 'über dem Limit'
    assert.deepEqual(
      await admin.succeed(bank, 'rejectPartialIncomingPayment', { input: { ...ids, reason } }),
      { success: true },
    )
    assert.deepEqual(await stored(id), [false, reason])
    await admin.succeed(bank, 'rejectPartialIncomingPayment', { input: { ...ids, reason: null } })
    assert.deepEqual(await stored(id), [false, null])
    await admin.succeed(admin.operator, 'confirmPartialIncomingPayment', { input: ids })
    assert.deepEqual(await stored(id), [true, null])
  })

  for (const name of ['confirmPartialIncomingPayment', 'rejectPartialIncomingPayment']) {
    it(`${name}: unknown ids, of either kind`, async () => {
      const [one, another] = [(await newPartial()).ids, (await newPartial()).ids]
      assert.deepEqual(await extensionsOf(name, { ...one, incomingPaymentId: uuidv7() }), {
        code: 'NOT_FOUND',
        reason: 'unknown_incoming_payment',
      })
      for (const partialIncomingPaymentId of [uuidv7(), another.partialIncomingPaymentId])
        assert.deepEqual(await extensionsOf(name, { ...one, partialIncomingPaymentId }), {
          code: 'NOT_FOUND',
          reason: 'unknown_partial_payment',
        })
      for (const field of ['incomingPaymentId', 'partialIncomingPaymentId'])
        assert.equal((await extensionsOf(name, { ...one, [field]: 'x' }))?.code, 'BAD_USER_INPUT')
      assert.deepEqual(await stored(another.partialIncomingPaymentId), [null, null])
    })

    it(`${name}: not when the payment is completed`, async () => {
      const { ids, url } = await newPartial()
      await admin.succeed(bank, 'completeReceiver', { input: { incomingPaymentUrl: url } })
      assert.deepEqual(await extensionsOf(name, ids), {
        code: 'BAD_USER_INPUT',
        reason: 'incoming_payment_closed',
      })
      assert.deepEqual(await stored(ids.partialIncomingPaymentId), [null, null])
    })
  }

  it('refuses a reason that is too long for a packet', async () => {
    const { ids } = await newPartial()
    const reject = (reason: string) => extensionsOf('rejectPartialIncomingPayment', { ...ids, reason })
    assert.equal((await reject('ü'.repeat(2_049)))?.code, 'BAD_USER_INPUT')
    assert.equal(await reject('ü'.repeat(2_048)), undefined)
  })

  it('webhookEvents shows what is stored: ciphertext', async () => {
    const { ids } = await newPartial()
    const events = (await admin.succeed(bank, 'webhookEvents', { first: 1 })) as unknown as {
      edges: { node: { type: string; data: Fields } }[]
    }
    const { type, data } = events.edges[0]!.node
    assert.equal(type, 'incoming_payment.partial_payment_received')
    assert.equal(data.partialIncomingPaymentId, ids.partialIncomingPaymentId)
    const { cipherText, tag, iv } = data.dataFromSender as Record<string, string>
    assert.equal(Buffer.from(cipherText!, 'base64').length, 'for Bob only'.length)
    assert.deepEqual(
      [tag, iv].map((part) => Buffer.from(part!, 'base64').length),
      [16, 12],
    )
    assert.ok(!JSON.stringify(events).includes('for Bob only'))
  })
})
