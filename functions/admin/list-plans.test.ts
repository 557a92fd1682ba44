import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type GraphQLField, getNamedType, isObjectType } from 'graphql'
import pg from 'pg'
import { listAssets, listFees } from '../../shared/assets/index.ts'
import { listIncomingPayments } from '../../shared/incoming-payments/index.ts'
import { listAnyPayments, listOutgoingPayments } from '../../shared/outgoing-payments/index.ts'
import { listPeers } from '../../shared/peers/index.ts'
import { type Db, type Page, type Paged, type Sql, sql, sqlText } from '../../shared/platform/index.ts'
import { listQuotes } from '../../shared/quotes/index.ts'
import { listTenants, type TenantScope } from '../../shared/tenants/index.ts'
import { createTestNode, type TestNode } from '../../shared/testing/node.ts'
import { listWalletAddresses, pageWalletAddressKeys } from '../../shared/wallet-addresses/index.ts'
import { listEvents } from '../../shared/webhooks/index.ts'
import { buildAdminSchema } from './app.ts'
import { type Populated, populate } from './populate.ts'

/** Rows that a page of 20 may look at: itself, what is joined to each row, and three pages where three values are merged. */
const ROWS_MAX = 1_000

type Node = Pick<TestNode, 'ledger' | 'secretBox'> & { db: Db }
type List = (node: Node, scope: TenantScope, page: Page) => Promise<Paged<{ id: string }>>

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: PlanNode[]
}

/** What was written here is no cipher text. */
const opensAll = { open: () => 'secret' } as unknown as TestNode['secretBox']

type PlanMode = 'force_custom_plan' | 'force_generic_plan'
/** What is prepared once may be planned for all values, too. */
const modesOf = ({ isPlannedAnew }: Sql): PlanMode[] =>
  isPlannedAnew ? ['force_custom_plan'] : ['force_custom_plan', 'force_generic_plan']

const nodesOf = (plan: PlanNode): PlanNode[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
const touched = (node: PlanNode): number =>
  (node['Actual Rows'] +
    (node['Rows Removed by Filter'] ?? 0) +
    (node['Rows Removed by Index Recheck'] ?? 0)) *
  node['Actual Loops']

/** What lists of the Admin API cost where there is much: each page is read along an index, whatever page of whichever list. */
describe('plans of lists', () => {
  let node: TestNode
  let client: pg.Client
  let has: Populated
  before(async () => {
    node = await createTestNode()
    client = new pg.Client({ connectionString: node.db.connectionString })
    await client.connect()
    // As the node plans.
    const settings = await node.db.many(
      ({ name, setting }) => ({ name, setting }),
      sql`select name, setting from pg_settings where source = 'client' and (name like 'enable%' or name in ('random_page_cost', 'jit'))`,
    )
    assert.ok(settings.length >= 4)
    for (const { name, setting } of settings) await client.query(`set ${name} = ${setting}`)
    has = await populate(client)
  })
  after(async () => {
    await client.end()
    await node.close()
  })

  const literal = (value: unknown): string => {
    if (value === null || value === undefined) return 'null'
    if (value instanceof Date) return client.escapeLiteral(value.toISOString())
    if (Array.isArray(value))
      return client.escapeLiteral(`{${value.map((item) => JSON.stringify(String(item))).join(',')}}`)
    return client.escapeLiteral(String(value))
  }
  let prepared = 0
  async function explain(query: Sql, mode: PlanMode): Promise<PlanNode> {
    const name = `list_${++prepared}`
    await client.query(`set plan_cache_mode = ${mode}`)
    await client.query(`prepare ${name} as ${sqlText(query)}`)
    const values = query.values.length > 0 ? `(${query.values.map(literal).join(', ')})` : ''
    const { rows } = await client.query(`explain (analyze, timing off, format json) execute ${name}${values}`)
    await client.query(`deallocate ${name}`)
    return rows[0]['QUERY PLAN'][0].Plan as PlanNode
  }

  /** What a list asks the database for a page. */
  async function asked(
    list: List,
    scope: TenantScope,
    page: Page,
  ): Promise<{ queries: Sql[]; ids: string[] }> {
    const queries: Sql[] = []
    const db: Db = {
      ...node.db,
      many: (map, query) => {
        queries.push(query)
        return node.db.many(map, query)
      },
      execute: (query) => {
        queries.push(query)
        return node.db.execute(query)
      },
    }
    const { items } = await list({ ...node, db, secretBox: opensAll }, scope, page)
    return { queries, ids: items.map(({ id }) => id) }
  }

  async function check(list: List, scope: TenantScope, page: Page): Promise<string[]> {
    const { queries, ids } = await asked(list, scope, page)
    assert.ok(queries.length > 0)
    for (const query of queries)
      for (const mode of modesOf(query)) {
        const plan = await explain(query, mode)
        const nodes = nodesOf(plan)
        const sum = nodes
          .filter((part) => part['Relation Name'] !== undefined)
          .reduce((all, part) => all + touched(part), 0)
        assert.ok(
          sum <= ROWS_MAX,
          `${sum} rows looked at, ${mode}: ${JSON.stringify(page)}\n${sqlText(query)}\n${JSON.stringify(plan, null, 1)}`,
        )
      }
    return ids
  }

  const lists: Record<string, List> = {
    'Query.assets': (ctx, scope, page) => listAssets(ctx, scope, page),
    'Query.incomingPayments': (ctx, scope, page) => listIncomingPayments(ctx, scope, {}, page),
    'Query.incomingPayments, of one initiator': (ctx, scope, page) =>
      listIncomingPayments(ctx, scope, { initiatedBy: { in: ['CARD'] } }, page),
    'Query.incomingPayments, of two': (ctx, scope, page) =>
      listIncomingPayments(ctx, scope, { initiatedBy: { in: ['CARD', 'OPEN_PAYMENTS'] } }, page),
    'Query.incomingPayments, not of one': (ctx, scope, page) =>
      listIncomingPayments(ctx, scope, { initiatedBy: { notIn: ['ADMIN'] } }, page),
    'Query.outgoingPayments': (ctx, scope, page) => listOutgoingPayments(ctx, scope, {}, page),
    'Query.outgoingPayments, of a receiver': (ctx, scope, page) =>
      listOutgoingPayments(ctx, scope, { receiver: [has.receiver] }, page),
    'Query.outgoingPayments, of a receiver that nobody pays': (ctx, scope, page) =>
      listOutgoingPayments(ctx, scope, { receiver: ['https://nobody.example/incoming-payments/1'] }, page),
    'Query.outgoingPayments, of wallet addresses': (ctx, scope, page) =>
      listOutgoingPayments(ctx, scope, { walletAddressId: has.walletAddressIds }, page),
    'Query.outgoingPayments, in a rare state': (ctx, scope, page) =>
      listOutgoingPayments(ctx, scope, { state: ['FAILED'] }, page),
    'Query.outgoingPayments, in rare states': (ctx, scope, page) =>
      listOutgoingPayments(ctx, scope, { state: ['FAILED', 'CANCELLED'] }, page),
    'Query.payments': (ctx, scope, page) => listAnyPayments(ctx, scope, {}, page),
    'Query.payments, of one type': (ctx, scope, page) =>
      listAnyPayments(ctx, scope, { type: ['OUTGOING'] }, page),
    'Query.payments, of wallet addresses': (ctx, scope, page) =>
      listAnyPayments(ctx, scope, { walletAddressId: has.walletAddressIds }, page),
    'Query.peers': (ctx, scope, page) => listPeers(ctx, scope, page),
    'Query.tenants': (ctx, _scope, page) => listTenants(ctx, page),
    'Query.walletAddresses': (ctx, scope, page) => listWalletAddresses(ctx, scope, page),
    'Query.webhookEvents': (ctx, scope, page) =>
      listEvents(ctx.db, {
        ...(scope !== 'all' && scope),
        types: { notIn: ['outgoing_payment.funded'] },
        page,
      }),
    'Query.webhookEvents, of a rare type': (ctx, scope, page) =>
      listEvents(ctx.db, { ...(scope !== 'all' && scope), types: { in: ['asset.liquidity_low'] }, page }),
    'Query.webhookEvents, dead': (ctx, scope, page) =>
      listEvents(ctx.db, { ...(scope !== 'all' && scope), delivery: { state: 'dead' }, page }),
    'Query.webhookEvents, pending': (ctx, scope, page) =>
      listEvents(ctx.db, { ...(scope !== 'all' && scope), delivery: { state: 'pending' }, page }),
    'Asset.fees': (ctx, _scope, page) => listFees(ctx, has.assetId, page),
    'WalletAddress.incomingPayments': (ctx, _scope, page) =>
      listIncomingPayments(ctx, has.large, { walletAddressId: has.walletAddressId }, page),
    'WalletAddress.incomingPayments, of a client': (ctx, _scope, page) =>
      listIncomingPayments(
        ctx,
        has.large,
        { walletAddressId: has.walletAddressId, client: has.client },
        page,
      ),
    'WalletAddress.outgoingPayments, of a client': (ctx, _scope, page) =>
      listOutgoingPayments(
        ctx,
        has.large,
        { walletAddressId: [has.walletAddressId], client: has.client },
        page,
      ),
    'WalletAddress.outgoingPayments': (ctx, _scope, page) =>
      listOutgoingPayments(ctx, has.large, { walletAddressId: [has.walletAddressId] }, page),
    'WalletAddress.quotes': (ctx, _scope, page) =>
      listQuotes(ctx, has.large, { walletAddressId: [has.walletAddressId] }, page),
    'WalletAddress.walletAddressKeys': (ctx, _scope, page) =>
      pageWalletAddressKeys(ctx, has.walletAddressId, page),
  }

  it('every list of the schema is here', () => {
    const fieldsOf = (type: unknown) => (isObjectType(type) ? Object.values(type.getFields()) : [])
    const isList = ({ type }: GraphQLField<unknown, unknown>) =>
      fieldsOf(getNamedType(type)).some(({ name }) => name === 'pageInfo')
    const ofSchema = Object.values(buildAdminSchema().getTypeMap()).flatMap((type) =>
      fieldsOf(type)
        .filter(isList)
        .map(({ name }) => `${type.name}.${name}`),
    )
    assert.deepEqual(new Set(Object.keys(lists).map((name) => name.split(',')[0])), new Set(ofSchema))
  })

  for (const [name, list] of Object.entries(lists))
    for (const whose of ['a large tenant', 'a small tenant', 'all tenants'] as const)
      it(`${name}, of ${whose}: pages are read along an index, from either end and in the middle`, async () => {
        const scope = {
          'a large tenant': has.large,
          'a small tenant': has.small,
          'all tenants': 'all' as const,
        }[whose]
        for (const sortOrder of ['DESC', 'ASC'] as const) {
          const first = await check(list, scope, { sortOrder })
          const middle = first.at(-1)
          if (middle === undefined) continue
          const next = await check(list, scope, { sortOrder, after: middle })
          await check(list, scope, { sortOrder, before: next.at(-1) ?? middle })
        }
      })
})
