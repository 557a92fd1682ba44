import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql, uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { type Party, startTestAdmin, type TestAdmin } from './harness.ts'

type Fields = Record<string, unknown>
interface Connection {
  edges: { cursor: string; node: Fields & { id: string } }[]
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; endCursor: string | null }
}
interface Transfers {
  debits: Fields[]
  credits: Fields[]
}

const euros = (value: string) => ({ value, assetCode: 'EUR', assetScale: 2 })

describe('payments over the Admin API', () => {
  let admin: TestAdmin
  let bank: Party
  let other: Party
  let assetId: string
  let alice: string
  let bob: string
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'), { EGRESS_ALLOW: 'localhost' })
    bank = await admin.newTenant('bank')
    other = await admin.newTenant('other')
    ;({ assetId, alice, bob } = await settle(bank))
  })
  after(() => admin.close())

  const make = async (party: Party, name: string, part: string, input: Fields) =>
    (await admin.succeed(party, name, { input }))[part] as Fields & { id: string; url: string }

  const settle = async (party: Party) => {
    const asset = (await make(party, 'createAsset', 'asset', { code: 'EUR', scale: 2 })).id
    const walletAddress = async (name: string) =>
      (
        await make(party, 'createWalletAddress', 'walletAddress', {
          assetId: asset,
          address: `${party.prefix}/${name}`,
        })
      ).id
    return { assetId: asset, alice: await walletAddress('alice'), bob: await walletAddress('bob') }
  }
  const newIncoming = (party: Party, walletAddressId: string, fields: Fields = {}) =>
    make(party, 'createIncomingPayment', 'payment', {
      walletAddressId,
      incomingAmount: euros('500'),
      ...fields,
    })
  const newOutgoing = async (receiver: string) => {
    const quote = await make(bank, 'createQuote', 'quote', { walletAddressId: alice, receiver })
    return await make(bank, 'createOutgoingPayment', 'payment', { walletAddressId: alice, quoteId: quote.id })
  }

  it('a quote for a receiver whose node does not answer has the contract’s code, our own reason, and may be asked for again', async () => {
    const ask = async (receiver: string) => {
      const { errors } = await admin.call(bank, 'createQuote', {
        input: { walletAddressId: alice, receiver, debitAmount: euros('500') },
      })
      return errors?.[0]?.extensions
    }
    assert.deepEqual(await ask(`https://localhost:9/incoming-payments/${uuidv7()}`), {
      code: 'BAD_USER_INPUT',
      reason: 'receiver_unreachable',
      retryable: true,
    })
    // What is known to be no receiver stays what it was.
    assert.deepEqual(await ask('https://localhost:9/elsewhere'), {
      code: 'BAD_USER_INPUT',
      reason: 'invalid_receiver',
    })
  })

  describe('the list of both kinds', () => {
    const made: string[] = []
    before(async () => {
      for (let i = 0; i < 3; i++) {
        const incoming = await newIncoming(bank, bob, { metadata: { number: i } })
        const outgoing = await newOutgoing(incoming.url)
        made.push(incoming.id, outgoing.id)
      }
      await newIncoming(other, (await settle(other)).bob)
    })

    const list = async (party: Party, args: Fields) =>
      (await admin.succeed(party, 'payments', args)) as unknown as Connection
    const idsOf = ({ edges }: Connection) => edges.map(({ node }) => node.id)

    it('is one order over incoming and outgoing, newest first', async () => {
      const page = await list(bank, {})
      assert.deepEqual(idsOf(page), made.toReversed())
      assert.deepEqual(
        page.edges.map(({ node }) => node.type),
        ['OUTGOING', 'INCOMING', 'OUTGOING', 'INCOMING', 'OUTGOING', 'INCOMING'],
      )
      assert.equal(page.pageInfo.hasNextPage, false)
    })

    it('shows what both kinds have in common', async () => {
      const page = await list(bank, { first: 2, sortOrder: 'ASC' })
      const [incoming, outgoing] = page.edges.map(({ node }) => node)
      assert.deepEqual(
        [incoming?.walletAddressId, incoming?.state, incoming?.metadata, incoming?.liquidity],
        [bob, 'PENDING', { number: 0 }, null],
      )
      assert.deepEqual([outgoing?.walletAddressId, outgoing?.state], [alice, 'FUNDING'])
    })

    for (const sortOrder of ['ASC', 'DESC'])
      it(`walks forward and back over the border of the kinds, ${sortOrder}`, async () => {
        const expected = sortOrder === 'ASC' ? made : made.toReversed()
        const walked: string[] = []
        let page = await list(bank, { first: 2, sortOrder })
        assert.equal(page.pageInfo.hasPreviousPage, false)
        for (;;) {
          walked.push(...idsOf(page))
          if (!page.pageInfo.hasNextPage) break
          page = await list(bank, { first: 2, sortOrder, after: page.pageInfo.endCursor })
          assert.equal(page.pageInfo.hasPreviousPage, true)
        }
        assert.deepEqual(walked, expected)
        const back = await list(bank, { last: 2, sortOrder, before: expected.at(-1) })
        assert.deepEqual(idsOf(back), expected.slice(-3, -1))
        assert.deepEqual([back.pageInfo.hasPreviousPage, back.pageInfo.hasNextPage], [true, true])
      })

    it('filters by type and wallet address', async () => {
      const [incoming, outgoing] = [made.filter((_, i) => i % 2 === 0), made.filter((_, i) => i % 2 === 1)]
      const of = async (filter: Fields) => idsOf(await list(bank, { filter, sortOrder: 'ASC' }))
      assert.deepEqual(await of({ type: { in: ['INCOMING'] } }), incoming)
      assert.deepEqual(await of({ walletAddressId: { in: [alice] } }), outgoing)
      assert.deepEqual(await of({ walletAddressId: { in: [alice] }, type: { in: ['INCOMING'] } }), [])
      // Only `in` is honoured here, and an empty list is no filter.
      assert.deepEqual(await of({ type: { notIn: ['INCOMING'] } }), made)
      assert.deepEqual(await of({ type: { in: [] } }), made)
    })

    it('is a tenant’s own, and everybody’s for the operator', async () => {
      const theirs = await list(other, { tenantId: bank.tenantId })
      assert.equal(theirs.edges.length, 1)
      assert.equal((await list(admin.operator, {})).edges.length, made.length + 1)
      assert.deepEqual(idsOf(await list(admin.operator, { tenantId: bank.tenantId })), made.toReversed())
      // A cursor of another tenant is as good as an unknown one.
      assert.deepEqual(idsOf(await list(other, { after: made[0] })), [])
    })

    it('finds outgoing payments by both forms of their receiver', async () => {
      const incoming = await newIncoming(bank, bob)
      const outgoing = await newOutgoing(incoming.url)
      const short = incoming.url.replace(`/${bank.tenantId}/`, '/')
      assert.notEqual(short, incoming.url)
      for (const url of [incoming.url, short]) {
        const found = (await admin.succeed(bank, 'outgoingPayments', {
          filter: { receiver: { in: [url] } },
        })) as unknown as Connection
        assert.deepEqual(idsOf(found), [outgoing.id])
      }
    })
  })

  describe('updateIncomingPayment', () => {
    it('replaces the metadata and nothing else', async () => {
      const { id, expiresAt } = await newIncoming(bank, bob, { metadata: { old: true } })
      const input = { id, metadata: { description: 'new' } }
      const payment = await make(bank, 'updateIncomingPayment', 'payment', input)
      assert.deepEqual([payment.metadata, payment.expiresAt], [{ description: 'new' }, expiresAt])
    })

    it('of the operator leaves the payment where it is', async () => {
      const { id } = await newIncoming(bank, bob)
      await make(admin.operator, 'updateIncomingPayment', 'payment', { id, metadata: { by: 'operator' } })
      const owner = await admin.node.db.one(
        (row) => row.tenant_id,
        sql`select tenant_id from incoming_payments where id = ${id}`,
      )
      assert.equal(owner, bank.tenantId)
      const payment = await admin.succeed(bank, 'incomingPayment', { id })
      assert.deepEqual(payment.metadata, { by: 'operator' })
    })
  })

  describe('the timeline', () => {
    interface Line extends Fields {
      kind: string
      code: string | null
      state: string | null
      details: Fields | null
    }
    const linesOf = async (party: Party, name: string, id: string) =>
      (await admin.succeed(party, name, { id })).timeline as Line[]

    it('tells of both kinds, webhook attempts included', async () => {
      const incoming = await newIncoming(bank, bob)
      const outgoing = await newOutgoing(incoming.url)
      // As the worker writes them: one attempt that failed, and one that was accepted.
      await admin.node.db.execute(sql`
        with delivery as (
          update webhook_deliveries d set state = 'delivered', attempts = 2, status_code = 200, latency_ms = 7, delivered_at = now() + interval '2 s'
          from webhook_events e where e.id = d.event_id and e.outgoing_payment_id = ${outgoing.id} returning d.id)
        insert into webhook_attempts (delivery_id, number, at, status_code, latency_ms, answer)
        select id, 1, now() + interval '1 s', 500, 30, 'oops' from delivery`)
      await admin.succeed(bank, 'cancelOutgoingPayment', {
        input: { id: outgoing.id, reason: 'changed my mind' },
      })

      const lines = await linesOf(bank, 'outgoingPayment', outgoing.id)
      assert.deepEqual(
        lines.map(({ kind, state, code }) => [kind, state, code]),
        [
          ['CREATED', 'FUNDING', null],
          ['WEBHOOK_EVENT', null, 'outgoing_payment.created'],
          ['STATE_CHANGED', 'CANCELLED', null],
          ['WEBHOOK_ATTEMPT', 'FAILED', 'outgoing_payment.created'],
          ['WEBHOOK_ATTEMPT', 'DELIVERED', 'outgoing_payment.created'],
        ],
      )
      assert.deepEqual(lines[0]?.amount, euros('500'))
      assert.equal(lines[2]?.message, 'changed my mind')
      assert.deepEqual(
        lines.slice(3).map(({ details }) => [details?.number, details?.status, details?.latencyMs]),
        [
          [1, 500, 30],
          [2, 200, 7],
        ],
      )
      const created = await linesOf(admin.operator, 'incomingPayment', incoming.id)
      assert.deepEqual(
        created.map(({ kind, state }) => [kind, state]),
        [
          ['CREATED', 'PENDING'],
          ['WEBHOOK_EVENT', null],
        ],
      )
    })

    it("shows a tenant no deliveries but its own wallet's", async () => {
      const outgoing = await newOutgoing((await newIncoming(bank, bob)).url)
      await admin.node.db.execute(sql`
        insert into webhook_deliveries (id, event_id, recipient_tenant_id, state, attempts, delivered_at, latency_ms)
        select ${uuidv7()}, e.id, ${admin.operator.tenantId}, 'delivered', 1, now(), 1 from webhook_events e
        where e.outgoing_payment_id = ${outgoing.id}`)
      const attempts = async (party: Party) =>
        (await linesOf(party, 'outgoingPayment', outgoing.id)).filter(
          ({ kind }) => kind === 'WEBHOOK_ATTEMPT',
        )
      assert.equal((await attempts(bank)).length, 0)
      assert.equal((await attempts(admin.operator)).length, 1)
    })
  })

  describe('a payment by card', () => {
    const cardDetails = {
      requestId: 'terminal-7/42',
      data: { signature: 'c2ln', payload: { amount: '500' } },
      initiatedAt: '2026-03-04T05:06:07.000Z',
    }
    const pay = (fields: Fields, incomingPayment: string) => ({
      input: { walletAddressId: alice, incomingPayment, cardDetails: { ...cardDetails, ...fields } },
    })

    it('keeps what the card said, and the wallet hears it', async () => {
      const { url } = await newIncoming(bank, bob)
      const { payment } = (await admin.succeed(
        bank,
        'createOutgoingPaymentFromIncomingPayment',
        pay({}, url),
      )) as {
        payment: { id: string; cardDetails: Fields }
      }
      assert.deepEqual(payment.cardDetails, cardDetails)
      assert.deepEqual(
        (await admin.succeed(bank, 'outgoingPayment', { id: payment.id })).cardDetails,
        cardDetails,
      )
      const row = await admin.node.db.one(
        (found) => found,
        sql`select p.initiated_by, e.data from outgoing_payments p join webhook_events e on e.outgoing_payment_id = p.id where p.id = ${payment.id}`,
      )
      assert.equal(row.initiated_by, 'CARD')
      assert.deepEqual(row.data.cardDetails, cardDetails)
    })

    it('is refused when its details make no sense', async () => {
      const { url } = await newIncoming(bank, bob)
      for (const fields of [{ requestId: '' }, { initiatedAt: 'yesterday' }]) {
        const { errors } = await admin.call(
          bank,
          'createOutgoingPaymentFromIncomingPayment',
          pay(fields, url),
        )
        assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
      }
    })

    it('without a card the webhook has no cardDetails at all', async () => {
      const { id } = await newOutgoing((await newIncoming(bank, bob)).url)
      const data = await admin.node.db.one(
        (row) => row.data as Fields,
        sql`select data from webhook_events where outgoing_payment_id = ${id}`,
      )
      assert.ok(!('cardDetails' in data))
    })
  })

  describe('dataToTransmit', () => {
    const fund = (outgoingPaymentId: string, dataToTransmit: string) =>
      admin.call(bank, 'depositOutgoingPaymentLiquidity', {
        input: { outgoingPaymentId, dataToTransmit, idempotencyKey: uuidv7() },
      })
    const stored = (id: string) =>
      admin.node.db.one(
        (row) => row.sealed as string | null,
        sql`select data_to_transmit_sealed as sealed from outgoing_payments where id = ${id}`,
      )

    it('is kept encrypted, in its place only, and not changed by a repeat', async () => {
      const { id } = await newOutgoing((await newIncoming(bank, bob)).url)
      const { errors } = await fund(id, 'Überweisung für Bob')
      assert.equal(errors, undefined, JSON.stringify(errors))
      const sealed = await stored(id)
      assert.ok(sealed !== null && !sealed.includes('Bob'))
      assert.equal(
        admin.node.secretBox.open(sealed, `outgoing-payment:${id}:data-to-transmit`),
        'Überweisung für Bob',
      )
      assert.throws(() => admin.node.secretBox.open(sealed, `outgoing-payment:${uuidv7()}:data-to-transmit`))
      await fund(id, 'something else')
      assert.equal(await stored(id), sealed)
    })

    it('is refused when it is empty or does not fit into a packet', async () => {
      const { id } = await newOutgoing((await newIncoming(bank, bob)).url)
      for (const text of ['', 'ü'.repeat(8_193)]) {
        const { errors } = await fund(id, text)
        assert.deepEqual(errors?.[0]?.extensions, { code: 'BAD_USER_INPUT', reason: 'invalid_data' })
      }
      assert.equal((await admin.succeed(bank, 'outgoingPayment', { id })).state, 'FUNDING')
    })
  })

  it('isCardPayment is honoured for the operator only', async () => {
    const operators = await settle(admin.operator)
    const byOperator = await newIncoming(admin.operator, operators.bob, { isCardPayment: true })
    const byTenant = await newIncoming(bank, bob, { isCardPayment: true })
    const cards = (await admin.succeed(admin.operator, 'incomingPayments', {
      filter: { initiatedBy: { in: ['CARD'] } },
    })) as unknown as Connection
    const ids = cards.edges.map(({ node }) => node.id)
    assert.ok(ids.includes(byOperator.id))
    assert.ok(!ids.includes(byTenant.id))
  })

  it('cancelOutgoingPayment keeps both reasons', async () => {
    const { id } = await newOutgoing((await newIncoming(bank, bob)).url)
    const payment = await make(bank, 'cancelOutgoingPayment', 'payment', {
      id,
      reason: 'not signed by the card',
      cardPaymentFailureReason: 'invalid_signature',
    })
    assert.equal(payment.state, 'CANCELLED')
    assert.deepEqual(payment.metadata, {
      cancellationReason: 'not signed by the card',
      cardPaymentFailureReason: 'invalid_signature',
    })
  })

  describe('accountingTransfers', () => {
    const transfersOf = async (party: Party, args: Fields) =>
      (await admin.succeed(party, 'accountingTransfers', args)) as unknown as Transfers
    const deposit = uuidv7()
    const [kept, voided, posted] = [uuidv7(), uuidv7(), uuidv7()]
    before(async () => {
      const input = (fields: Fields) => ({ input: { assetId, idempotencyKey: uuidv7(), ...fields } })
      await admin.succeed(
        bank,
        'depositAssetLiquidity',
        input({ id: deposit, amount: '18446744073709551615' }),
      )
      for (const [index, id] of [kept, voided, posted].entries())
        await admin.succeed(
          bank,
          'createAssetLiquidityWithdrawal',
          input({ id, amount: `${index + 1}`, timeoutSeconds: '3600' }),
        )
      const withdrawal = (withdrawalId: string) => ({ input: { withdrawalId, idempotencyKey: uuidv7() } })
      await admin.succeed(bank, 'voidLiquidityWithdrawal', withdrawal(voided))
      await admin.succeed(bank, 'postLiquidityWithdrawal', withdrawal(posted))
    })

    const shown = (transfers: Fields[]) =>
      transfers.map(({ id, amount, state, transferType }) => [id, amount, state, transferType])

    it('shows each movement once, newest first, with what became of it', async () => {
      const { debits, credits } = await transfersOf(bank, { id: assetId })
      assert.deepEqual(shown(credits), [[deposit, '18446744073709551615', 'POSTED', 'DEPOSIT']])
      assert.deepEqual(shown(debits), [
        [posted, '3', 'POSTED', 'WITHDRAWAL'],
        [voided, '2', 'VOIDED', 'WITHDRAWAL'],
        [kept, '1', 'PENDING', 'WITHDRAWAL'],
      ])
      assert.ok(debits.every(({ expiresAt }) => typeof expiresAt === 'string'))
    })

    it('settlement is named by the number of its ledger, however large', async () => {
      await admin.node.db.execute(sql`select setval(pg_get_serial_sequence('assets', 'ledger'), 70000)`)
      const far = (await make(bank, 'createAsset', 'asset', { code: 'FAR', scale: 0 })).id
      const id = uuidv7()
      await admin.succeed(bank, 'depositAssetLiquidity', {
        input: { assetId: far, id, amount: '7', idempotencyKey: uuidv7() },
      })
      const { debits, credits } = await transfersOf(bank, { id: '70001' })
      assert.deepEqual([shown(debits), credits], [[[id, '7', 'POSTED', 'DEPOSIT']], []])
      assert.equal(debits[0]?.ledger, 70001)
      assert.deepEqual(await transfersOf(other, { id: '70001' }), { debits: [], credits: [] })
      assert.equal((await transfersOf(admin.operator, { id: '70001' })).debits.length, 1)
    })

    it('the limit is of both sides together', async () => {
      const { debits, credits } = await transfersOf(bank, { id: assetId, limit: 3 })
      assert.deepEqual([debits.length, credits.length], [3, 0])
      const all = await transfersOf(bank, { id: assetId, limit: 4 })
      assert.deepEqual([all.debits.length, all.credits.length], [3, 1])
    })

    it('foreign, unknown and never used accounts have nothing; ids that are none are refused', async () => {
      const nothing = { debits: [], credits: [] }
      assert.deepEqual(await transfersOf(other, { id: assetId }), nothing)
      assert.deepEqual(await transfersOf(bank, { id: uuidv7() }), nothing)
      assert.deepEqual(await transfersOf(bank, { id: alice }), nothing)
      for (const args of [
        { id: 'x' },
        { id: '0' },
        { id: '9999999999' },
        { id: assetId, limit: -1 },
        { id: assetId, limit: 1001 },
      ]) {
        const { errors } = await admin.call(bank, 'accountingTransfers', args)
        assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', JSON.stringify(args))
      }
    })
  })
})
