import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type GraphQLOutputType, getNamedType, getNullableType, isListType, isObjectType } from 'graphql'
import { deriveTransferId } from '../../shared/ledger/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { type Belongings, settle } from './belongings.ts'
import { type Books, openBooks } from './books.ts'
import { type Answer, newSecret, type Party, rootFields, startTestAdmin, type TestAdmin } from './harness.ts'
import { type IsolationCase, isolationCases } from './isolation-cases.ts'

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi
type Key = keyof Belongings
const keysOf = (belongings: Belongings) => Object.keys(belongings) as Key[]

/** The same kind of thing, but nobody's: below the same tenant, where the text names one. */
function nobodys(text: string): string {
  const ids = text.match(UUID) ?? []
  const id = ids.at(-1)
  return id === undefined || text.endsWith('/alice') || text.endsWith('/bob')
    ? `${text}-${uuidv7()}`
    : text.replace(id, uuidv7())
}

/** Which belongings a case names. */
function usedBy({ args }: IsolationCase, belongings: Belongings): Key[] {
  const used = new Set<Key>()
  args(
    new Proxy(belongings, {
      get: (target, key: Key) => {
        used.add(key)
        return target[key]
      },
    }),
  )
  return [...used]
}

/** Every text in an answer that is long enough to say whose it is. */
function textsOf(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value === 'string' && value.length >= 6) found.add(value)
  else if (typeof value === 'object' && value !== null)
    for (const item of Object.values(value)) textsOf(item, found)
  return found
}

/** What a node that peers with everybody answers. */
const newPeering = () => ({
  staticIlpAddress: 'test.everybody',
  ilpConnectorUrl: 'https://everybody.example',
  httpToken: newSecret(),
  name: 'everybody',
  tenantId: uuidv7(),
})

describe('tenants on one node', () => {
  let admin: TestAdmin
  let auth: TestHttpServer
  let victim: Party
  let intruder: Party
  /** Whom the operator works for. */
  let client: Party
  let theirs: Belongings
  let mine: Belongings
  let clients: Belongings
  before(async () => {
    // The authorization server's answer, and one wallet's that takes some events, refuses others and hangs up on a third kind.
    auth = await startTestHttpServer(({ path, body }) => {
      if (path === '/peering') return { body: JSON.stringify(newPeering()) }
      if (path !== '/webhooks') return { status: 204 }
      if (body.includes('incoming_payment.completed')) return Promise.reject(new Error('hang up'))
      return body.includes('outgoing_payment.completed') ? { status: 500, body: 'no' } : { status: 200 }
    })
    admin = await startTestAdmin(await createTestDatabase('resources'), {
      AUTH_SERVICE_API_URL: auth.url,
      WEBHOOK_URL: `${auth.url}/webhooks`,
      EGRESS_ALLOW: '127.0.0.1',
      EGRESS_ALLOW_HTTP: 'true',
      ILP_CONNECTOR_URL: 'https://ilp.bank.example',
    })
    ;[victim, intruder, client] = (await Promise.all(
      ['victim', 'intruder', 'client'].map(admin.newTenant),
    )) as [Party, Party, Party]
    const peerUrl = `${auth.url}/peering`
    theirs = await settle(admin, victim, { name: 'victim', peerUrl, waitFor })
    mine = await settle(admin, intruder, { name: 'intruder', peerUrl, waitFor })
    clients = await settle(admin, client, { name: 'client', peerUrl, waitFor })
    nobody = Object.fromEntries(keysOf(theirs).map((key) => [key, nobodys(theirs[key])])) as Belongings
  })
  let nobody: Belongings
  after(async () => {
    await admin.close()
    await auth.close()
  })

  let books: () => Promise<string>
  /** The rows that name the victim or something of its. */
  let victimsBooks: () => Promise<string>
  before(() => {
    const sumOf = (read: () => Promise<Books>) => async () => (await read()).sum
    books = sumOf(openBooks(admin.node.db))
    const ids = Object.values(theirs).flatMap((text) => text.match(UUID) ?? [])
    victimsBooks = sumOf(openBooks(admin.node.db, [...new Set(ids)]))
  })

  const caseOf = (name: string): IsolationCase => {
    const found = isolationCases[name]
    assert.ok(found, name)
    return found
  }
  const ask = (party: Party, name: string, of: Belongings) => admin.call(party, name, caseOf(name).args(of))
  /** What an answer says once ids of the question are put aside. */
  const shape = ({ status, data, errors }: Answer, asked: Belongings): string => {
    let text = JSON.stringify({ status, data, errors })
    for (const key of keysOf(asked)) text = text.replaceAll(asked[key], `<${key}>`)
    return text
  }

  /** What says that an answer holds something of the victim's: its own answers' texts that are in nobody else's. */
  const marks = new Set<string>()
  const common = new Set<string>()
  before(async () => {
    const queries = admin.schema.getQueryType()?.getFields() ?? {}
    for (const [name, { isOperatorOnly }] of Object.entries(isolationCases)) {
      if (isOperatorOnly || !(name in queries)) continue
      textsOf((await ask(victim, name, theirs)).data, marks)
      textsOf((await ask(intruder, name, mine)).data, common)
    }
    for (const text of Object.values(theirs)) marks.add(text)
    for (const text of common) marks.delete(text)
    for (const expected of [
      victim.apiSecret,
      theirs.peer,
      'peer of victim',
      'bill of victim',
      'bob of victim',
    ])
      assert.ok(marks.has(expected), `the victim's answers lack ${expected}`)
  })
  const hasNothingOfTheVictims = (answer: Answer, asked: unknown) => {
    const [text, question] = [JSON.stringify(answer), JSON.stringify(asked)]
    for (const mark of marks)
      if (!question.includes(mark)) assert.ok(!text.includes(mark), `${mark} is in the answer ${text}`)
  }

  it('has a case for every query and mutation of the schema', () => {
    assert.deepEqual(Object.keys(isolationCases).sort(), Object.keys(rootFields(admin.schema)).sort())
  })

  for (const [name, isolationCase] of Object.entries(isolationCases)) {
    const {
      unknown,
      unknownTenant,
      isOwn,
      isOperatorOnly,
      isPublicKnowledge,
      actsOnOwn,
      open = [],
    } = isolationCase
    const expectedOf = (keys: readonly Key[]) => {
      if (isOperatorOnly) return 'FORBIDDEN'
      return keys.includes('tenantId') ? (unknownTenant ?? unknown) : unknown
    }
    const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code ?? 'no error'

    it(`${name}: what another tenant has is as unknown as what nobody has, and nothing is shown or changed`, async () => {
      const used = usedBy(caseOf(name), theirs).filter((key) => !open.includes(key))
      const rows = actsOnOwn ? victimsBooks : books
      const before = await rows()
      // All of it, and each thing on its own among one's own ones.
      for (const keys of [used, ...used.map((key) => [key])]) {
        if (keys.length === 0) continue
        const among = (others: Belongings) => ({
          ...mine,
          ...Object.fromEntries(keys.map((key) => [key, others[key]])),
        })
        const foreign = await ask(intruder, name, among(theirs))
        const random = await ask(intruder, name, among(nobody))
        assert.equal(codeOf(foreign), expectedOf(keys), JSON.stringify(foreign))
        if (!isPublicKnowledge) assert.equal(shape(foreign, theirs), shape(random, nobody))
        hasNothingOfTheVictims(
          foreign,
          keys.map((key) => theirs[key]),
        )
      }
      assert.equal(await rows(), before)
    })

    it(`${name}: the operator reaches ${isOwn ? 'its own only' : "every tenant's"}`, async () => {
      const used = usedBy(caseOf(name), clients).filter((key) => !open.includes(key))
      if (isOwn && used.length > 0) {
        const before = await books()
        const foreign = await ask(admin.operator, name, clients)
        const random = await ask(admin.operator, name, nobody)
        assert.equal(codeOf(foreign), unknown, JSON.stringify(foreign))
        if (!isPublicKnowledge) assert.equal(shape(foreign, clients), shape(random, nobody))
        assert.equal(await books(), before)
        return
      }
      const before = await victimsBooks()
      const random = used.length > 0 ? await ask(admin.operator, name, nobody) : undefined
      if (random) assert.ok(['NOT_FOUND', 'BAD_USER_INPUT', 'no error'].includes(codeOf(random)))
      const reached = await ask(admin.operator, name, clients)
      assert.equal(codeOf(reached), 'no error', JSON.stringify(reached))
      visit(name, reached)
      assert.equal(await victimsBooks(), before)
    })
  }

  /** `Type.field` of everything that has been seen with a value. */
  const visited = new Set<string>()
  const visitValue = (type: GraphQLOutputType, value: unknown): void => {
    const plain = getNullableType(type)
    if (value === null || value === undefined) return
    if (isListType(plain))
      for (const item of value as unknown[]) visitValue(plain.ofType as GraphQLOutputType, item)
    else if (isObjectType(plain))
      for (const [name, field] of Object.entries(plain.getFields())) {
        const below = (value as Record<string, unknown>)[name]
        if (below !== null && below !== undefined) visited.add(`${plain.name}.${name}`)
        visitValue(field.type, below)
      }
  }
  const visit = (name: string, { data }: Answer) => {
    const field = rootFields(admin.schema)[name]
    assert.ok(field)
    visitValue(field.type, data?.answer)
  }

  for (const [name, { isOperatorOnly }] of Object.entries(isolationCases)) {
    if (isOperatorOnly) continue
    it(`${name}: works for the owner, so what is refused above is about the tenant, and leaves others alone`, async () => {
      const before = await victimsBooks()
      const answer = await ask(intruder, name, mine)
      assert.equal(answer.errors, undefined, JSON.stringify(answer.errors))
      assert.ok(answer.data?.answer)
      visit(name, answer)
      hasNothingOfTheVictims(answer, '')
      assert.equal(await victimsBooks(), before)
    })
  }

  /** Lists, as paths of a query: at the root, and below something that a root query finds by `id`. */
  const lists = () => {
    const roots = Object.values(admin.schema.getQueryType()?.getFields() ?? {})
    const pages = (args: readonly { name: string }[]) => args.some(({ name }) => name === 'after')
    const nested = Object.values(admin.schema.getTypeMap()).flatMap((type) =>
      !isObjectType(type) || type === admin.schema.getQueryType()
        ? []
        : Object.values(type.getFields())
            .filter(({ args }) => pages(args))
            .map((field) => ({ type, field: field.name })),
    )
    return {
      roots: roots.filter(({ args }) => pages(args)).map(({ name }) => name),
      nested: nested.map(({ type, field }) => {
        const root = roots.find(
          ({ type: found, args }) =>
            getNamedType(found) === type && args.length === 1 && args[0]?.name === 'id',
        )
        assert.ok(root, `no query finds a ${type.name} by its id`)
        return { root: root.name, field }
      }),
    }
  }
  const connection = 'edges { cursor } pageInfo { startCursor endCursor hasNextPage hasPreviousPage }'
  interface Page {
    edges: { cursor: string }[]
  }

  it('a foreign cursor is as unknown as a random one, in every list', async () => {
    const { roots, nested } = lists()
    const texts = [
      ...roots
        .filter((name) => isolationCases[name]?.isOperatorOnly !== true)
        .map((name) => ({ name, of: () => '', open: `${name}(`, close: ')' })),
      ...nested.map(({ root, field }) => ({
        name: `${root}.${field}`,
        of: (belongings: Belongings) => JSON.stringify(caseOf(root).args(belongings).id),
        open: `${root}(id: %) { page: ${field}(`,
        close: ')',
      })),
    ]
    for (const { name, of, open, close } of texts) {
      const page = async (party: Party, belongings: Belongings, args: string) => {
        const isNested = open.includes('%')
        const start = isNested ? open.replace('%', of(belongings)) : `page: ${open}`
        const { data, errors } = await admin.ask(
          party,
          `{ ${start}${args}${close} { ${connection} } ${isNested ? '}' : ''} }`,
        )
        assert.equal(errors, undefined, `${name}: ${JSON.stringify(errors)}`)
        const [first] = Object.values(data ?? {})
        return (isNested ? (first as { page: Page }).page : first) as Page
      }
      const cursors = (await page(victim, theirs, 'first: 100')).edges.map(({ cursor }) => cursor)
      assert.ok(cursors.length > 0, `${name}: the victim's list is empty`)
      for (const sortOrder of ['ASC', 'DESC'])
        for (const side of ['after', 'before']) {
          const at = (cursor: string) => page(intruder, mine, `${side}: "${cursor}", sortOrder: ${sortOrder}`)
          const random = await at(uuidv7())
          for (const cursor of cursors) assert.deepEqual(await at(cursor), random, name)
        }
    }
  })

  it('every field of the schema has been seen with a value, by its owner or the operator', async () => {
    // Once more, since now there is a deleted one.
    visit('tenants', await ask(admin.operator, 'tenants', clients))
    const query = admin.schema.getQueryType()
    const mutation = admin.schema.getMutationType()
    const all = Object.values(admin.schema.getTypeMap()).flatMap((type) =>
      isObjectType(type) && !type.name.startsWith('__') && type !== query && type !== mutation
        ? Object.keys(type.getFields()).map((field) => `${type.name}.${field}`)
        : [],
    )
    const unseen = all.filter((field) => !visited.has(field))
    assert.deepEqual(unseen, [])
  })

  it("a signature of one tenant's does not speak for another", async () => {
    const { tenantId } = victim
    assert.equal((await admin.ask({ ...intruder, tenantId }, '{ whoami { id } }')).status, 401)
  })

  it("the prefix of another tenant's wallet addresses cannot be taken", async () => {
    const before = await books()
    const { errors } = await admin.call(intruder, 'createTenantSettings', {
      input: { settings: [{ key: 'WALLET_ADDRESS_URL', value: victim.prefix }] },
    })
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
    assert.equal(await books(), before)
  })

  it('the ids of transfers that another tenant’s payments will need cannot be taken', async () => {
    const foreseen = deriveTransferId('close', theirs.incomingPayment, 0)
    const asset = { assetId: mine.asset, amount: '1' }
    const peer = { peerId: mine.peer, amount: '1' }
    const { walletAddress: walletAddressId } = mine
    const takings: [string, Record<string, unknown>][] = [
      ['depositAssetLiquidity', asset],
      ['createAssetLiquidityWithdrawal', { ...asset, timeoutSeconds: '0' }],
      ['depositPeerLiquidity', peer],
      ['createPeerLiquidityWithdrawal', { ...peer, timeoutSeconds: '0' }],
      ['createWalletAddressWithdrawal', { walletAddressId, timeoutSeconds: '0' }],
    ]
    for (const party of [intruder, admin.operator])
      for (const [name, fields] of takings)
        for (const id of [foreseen, foreseen.toUpperCase()]) {
          const input = { ...fields, id, idempotencyKey: uuidv7() }
          const { errors } = await admin.call(party, name, { input })
          assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', name)
        }
    assert.deepEqual(await admin.node.ledger.lookupTransfers([foreseen]), [undefined])
  })
})
