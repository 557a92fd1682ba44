import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { listAssets, listFees } from '../../shared/assets/index.ts'
import { listIncomingPayments } from '../../shared/incoming-payments/index.ts'
import { listAnyPayments, listOutgoingPayments } from '../../shared/outgoing-payments/index.ts'
import { listPeers } from '../../shared/peers/index.ts'
import { deriveId, type Page, type Paged, type Sql, sql, uuidv7 } from '../../shared/platform/index.ts'
import { listQuotes } from '../../shared/quotes/index.ts'
import { createTestNode, type TestNode } from '../../shared/testing/node.ts'
import { listWalletAddresses, pageWalletAddressKeys } from '../../shared/wallet-addresses/index.ts'
import { listEvents } from '../../shared/webhooks/index.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

/** A tenant with an asset and two wallet addresses: what rows of a list hang on. */
interface Home {
  tenantId: string
  assetId: string
  walletAddressId: string
  /** Of the same tenant: nested lists must not show what hangs on it. */
  neighbourId: string
}
interface Row {
  id: string
  createdAt: Date
}
interface List {
  /** The row itself, below a home. */
  insert(home: Home, row: Row): readonly Sql[]
  page(home: Home, page: Page): Promise<Paged<{ id: string }>>
  /** Rows that every home has from the beginning. */
  first?: (home: Home) => string[]
}

describe('lists', () => {
  let node: TestNode
  before(async () => {
    node = await createTestNode()
  })
  after(() => node.close())

  const EPOCH_MS = Date.UTC(2031, 0, 1)
  const scope = ({ tenantId }: Home) => ({ tenantId })
  const insertQuote = (home: Home, { id, createdAt }: Row): Sql => sql`
    insert into quotes (id, tenant_id, wallet_address_id, asset_id, receiver, method, debit_amount, source_amount, receive_amount,
      receive_asset_code, receive_asset_scale, created_at, expires_at)
    values (${id}, ${home.tenantId}, ${home.walletAddressId}, ${home.assetId}, 'https://bank.example/incoming-payments/1', 'LOCAL',
      1, 1, 1, 'USD', 2, ${createdAt}, ${createdAt})`

  const lists: Record<string, List> = {
    assets: {
      insert: (home, row) => [
        sql`insert into assets (id, tenant_id, code, scale, created_at)
          values (${row.id}, ${home.tenantId}, ${row.id.slice(-12)}, 2, ${row.createdAt})`,
      ],
      page: (home, page) => listAssets(node, scope(home), page),
      first: ({ assetId }) => [assetId],
    },
    'Asset.fees': {
      insert: (home, row) => [
        sql`insert into fees (id, asset_id, type, fixed, basis_points, created_at)
          values (${row.id}, ${home.assetId}, 'SENDING', 1, 1, ${row.createdAt})`,
      ],
      page: (home, page) => listFees(node, home.assetId, page),
    },
    peers: {
      insert: (home, row) => [
        sql`insert into peers (id, tenant_id, asset_id, static_ilp_address, outgoing_endpoint, outgoing_token_sealed, routes, created_at)
          values (${row.id}, ${home.tenantId}, ${home.assetId}, ${`test.${row.id}`}, 'https://peer.example',
            ${node.secretBox.seal('token', `peer:${row.id}:outgoing-token`)}, ${[`test.${row.id}`]}, ${row.createdAt})`,
      ],
      page: (home, page) => listPeers(node, scope(home), page),
    },
    walletAddresses: {
      insert: (home, row) => [
        sql`insert into wallet_addresses (id, tenant_id, asset_id, address, created_at)
          values (${row.id}, ${home.tenantId}, ${home.assetId}, ${`https://node.example/${row.id}`}, ${row.createdAt})`,
      ],
      page: (home, page) => listWalletAddresses(node, scope(home), page),
      first: ({ walletAddressId, neighbourId }) => [walletAddressId, neighbourId],
    },
    'WalletAddress.walletAddressKeys': {
      insert: (home, row) => [
        sql`insert into wallet_address_keys (id, wallet_address_id, kid, x, created_at)
          values (${row.id}, ${home.walletAddressId}, ${row.id}, 'x', ${row.createdAt})`,
      ],
      page: (home, page) => pageWalletAddressKeys(node, home.walletAddressId, page),
    },
    'WalletAddress.incomingPayments': {
      insert: (home, row) => [
        sql`insert into incoming_payments (id, tenant_id, wallet_address_id, asset_id, initiated_by, expires_at, process_at, created_at)
          values (${row.id}, ${home.tenantId}, ${home.walletAddressId}, ${home.assetId}, 'ADMIN', ${row.createdAt}, ${row.createdAt},
            ${row.createdAt})`,
      ],
      page: (home, page) =>
        listIncomingPayments(node, scope(home), { walletAddressId: home.walletAddressId }, page),
    },
    'WalletAddress.quotes': {
      insert: (home, row) => [insertQuote(home, row)],
      page: (home, page) => listQuotes(node, scope(home), { walletAddressId: [home.walletAddressId] }, page),
    },
    'WalletAddress.outgoingPayments': {
      insert: (home, row) => [
        insertQuote(home, row),
        sql`insert into outgoing_payments (id, tenant_id, wallet_address_id, initiated_by, created_at)
          values (${row.id}, ${home.tenantId}, ${home.walletAddressId}, 'ADMIN', ${row.createdAt})`,
      ],
      page: (home, page) =>
        listOutgoingPayments(node, scope(home), { walletAddressId: [home.walletAddressId] }, page),
    },
  }

  const incoming = lists['WalletAddress.incomingPayments']
  const outgoing = lists['WalletAddress.outgoingPayments']
  assert.ok(incoming && outgoing)
  Object.assign(lists, {
    payments: {
      // Half of each kind, as the id has it.
      insert: (home, row) => (/[0-7]$/.test(row.id) ? incoming : outgoing).insert(home, row),
      page: (home, page) => listAnyPayments(node, scope(home), {}, page),
    },
    webhookEvents: {
      insert: (home, row) => [
        sql`insert into webhook_events (id, tenant_id, type, data, created_at)
          values (${row.id}, ${home.tenantId}, 'incoming_payment.created', '{}', ${row.createdAt})`,
      ],
      page: (home, page) => listEvents(node.db, { tenantId: home.tenantId, page }),
    },
  } satisfies Record<string, List>)

  async function newHome(): Promise<Home> {
    const [tenantId, assetId, walletAddressId, neighbourId] = [uuidv7(), uuidv7(), uuidv7(), uuidv7()]
    const at = new Date(EPOCH_MS)
    await node.db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)
    await node.db.execute(
      sql`insert into assets (id, tenant_id, code, scale, created_at) values (${assetId}, ${tenantId}, 'USD', 2, ${at})`,
    )
    for (const id of [walletAddressId, neighbourId])
      await node.db.execute(sql`
        insert into wallet_addresses (id, tenant_id, asset_id, address, created_at)
        values (${id}, ${tenantId}, ${assetId}, ${`https://node.example/${id}`}, ${at})`)
    return { tenantId, assetId, walletAddressId, neighbourId }
  }

  /** Few moments, so that ids often decide; ids that do not follow time. */
  const rows = (maxLength: number) =>
    fc.array(fc.record({ id: fc.nat().map(String), moment: fc.integer({ min: -2, max: 3 }) }), { maxLength })
  const walks = fc.record({
    before: rows(12),
    size: fc.integer({ min: 1, max: 5 }),
    ascending: fc.boolean(),
    forwards: fc.boolean(),
    /** What is inserted between one page and the next. */
    between: fc.array(rows(2), { maxLength: 6 }),
  })

  for (const [name, list] of Object.entries(lists))
    it(`${name}: pages are the list, cut, in either direction and order, while rows are inserted`, async () => {
      await fc.assert(
        fc.asyncProperty(walks, async ({ before: rowsBefore, size, ascending, forwards, between }) => {
          const used = new Set<string>()
          const [home, foreign] = [await newHome(), await newHome()]
          const model: Row[] = (list.first?.(home) ?? []).map((id) => ({ id, createdAt: new Date(EPOCH_MS) }))
          const insert = async (drafts: readonly { id: string; moment: number }[]) => {
            for (const { id: drafted, moment } of drafts) {
              const id = deriveId(home.tenantId, drafted)
              if (used.has(id)) continue
              used.add(id)
              const row = { id, createdAt: new Date(EPOCH_MS + moment) }
              const stranger = { id: uuidv7(), createdAt: row.createdAt }
              const neighbour = { id: uuidv7(), createdAt: row.createdAt }
              for (const part of list.insert(home, row)) await node.db.execute(part)
              for (const part of list.insert(foreign, stranger)) await node.db.execute(part)
              if (name.startsWith('WalletAddress.'))
                for (const part of list.insert({ ...home, walletAddressId: home.neighbourId }, neighbour))
                  await node.db.execute(part)
              model.push(row)
            }
            const sign = ascending ? 1 : -1
            model.sort(
              (a, b) => sign * (a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : 1)),
            )
          }
          await insert(rowsBefore)
          const original = model.map(({ id }) => id)
          const sortOrder = ascending ? 'ASC' : 'DESC'
          const seen: string[] = []
          // A walk backwards needs a place to begin at: the last row, which is then not on any page.
          const lastId = original.at(-1)
          if (!forwards && lastId === undefined) return
          let cursor = forwards ? undefined : lastId
          for (let step = 0; ; step++) {
            assert.ok(step < 100, 'a walk ends')
            const page = await list.page(home, {
              sortOrder,
              ...(forwards
                ? { first: size, ...(cursor !== undefined && { after: cursor }) }
                : { last: size, ...(cursor !== undefined && { before: cursor }) }),
            })
            const at = model.findIndex(({ id }) => id === cursor)
            const expected = forwards
              ? model.slice(at + 1, at + 1 + size)
              : model.slice(Math.max(0, at - size), at)
            const ids = page.items.map(({ id }) => id)
            assert.deepEqual(
              ids,
              expected.map(({ id }) => id),
            )
            const [from, to] = forwards ? [at + 1, at + 1 + ids.length] : [at - ids.length, at]
            assert.equal(page.hasNextPage, ids.length > 0 && to < model.length, 'next')
            assert.equal(page.hasPreviousPage, ids.length > 0 && from > 0, 'previous')
            if (forwards) seen.push(...ids)
            else seen.unshift(...ids)
            const end = forwards ? ids.at(-1) : ids[0]
            if (end === undefined) break
            cursor = end
            await insert(between[step] ?? [])
          }
          const kept = seen.filter((id) => original.includes(id))
          assert.deepEqual(kept, forwards ? original : original.slice(0, -1))
          assert.equal(new Set(seen).size, seen.length)
        }),
        { seed, numRuns: 25 },
      )
    })

  for (const [name, list] of Object.entries(lists))
    it(`${name}: another's cursor is as good as an unknown one`, async () => {
      const [home, foreign] = [await newHome(), await newHome()]
      const place = (id: string, moment: number): Row => ({ id, createdAt: new Date(EPOCH_MS + moment) })
      const cursor = uuidv7()
      for (const part of list.insert(foreign, place(cursor, 2))) await node.db.execute(part)
      for (const moment of [1, 3])
        for (const part of list.insert(home, place(uuidv7(), moment))) await node.db.execute(part)
      const nothing = { items: [], hasNextPage: false, hasPreviousPage: false }
      for (const id of [cursor, uuidv7()])
        for (const sortOrder of ['ASC', 'DESC'] as const) {
          assert.deepEqual(await list.page(home, { after: id, sortOrder }), nothing)
          assert.deepEqual(await list.page(home, { before: id, sortOrder }), nothing)
        }
      assert.ok((await list.page(home, {})).items.length >= 2)
    })
})
