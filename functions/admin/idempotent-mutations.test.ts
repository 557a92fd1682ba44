import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { getNamedType, isInputObjectType } from 'graphql'
import { type RunningDeployable, sql, uuidv7 } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { buildAdminSchema } from './app.ts'
import { type Belongings, settle } from './belongings.ts'
import { type Books, openBooks } from './books.ts'
import { type Answer, newSecret, type Party, startTestAdmin, type TestAdmin } from './harness.ts'
import { isolationCases } from './isolation-cases.ts'
import { startAdmin } from './wiring.ts'

type Fields = Record<string, unknown>
type Counts = Books['counts']
/** At the same time: many where one too much would cost most. */
const parallel = (name: string) => (/^(create(Outgoing|Peer)|deposit|withdraw)/.test(name) ? 50 : 10)

/** The argument that a repeat must not have: another text in the first member that is one. */
function changed(args: { input: Fields }): { input: Fields } {
  const name = Object.keys(args.input).find(
    (key) =>
      key !== 'idempotencyKey' &&
      typeof args.input[key] === 'string' &&
      !/^\d+$/.test(String(args.input[key])),
  )
  return name === undefined
    ? { input: { ...args.input, limit: 1 } }
    : { input: { ...args.input, [name]: name === 'type' ? 'RECEIVING' : uuidv7() } }
}

/** What a node that peers with everybody answers. */
const newPeering = () => ({
  staticIlpAddress: 'test.everybody',
  ilpConnectorUrl: 'https://everybody.example',
  httpToken: newSecret(),
})

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code

/**
 * Every mutation with an idempotency key, asked for four tenants that have the same things: what it does to one of them when nothing
 * goes wrong is what it must do to the others, whatever does.
 */
const schema = buildAdminSchema()
const mutations = Object.keys(isolationCases).filter((name) => {
  const input = getNamedType(schema.getMutationType()?.getFields()[name]?.args[0]?.type)
  return isInputObjectType(input) && 'idempotencyKey' in input.getFields()
})

describe('mutations with an idempotency key', () => {
  let admin: TestAdmin
  let twin: RunningDeployable
  let other: TestHttpServer
  let books: () => Promise<Books>
  const names = ['plain', 'crash', 'parallel', 'killed'] as const
  const parties = {} as Record<(typeof names)[number], { party: Party; has: Belongings }>
  before(async () => {
    other = await startTestHttpServer(({ path }) =>
      path === '/peering' ? { body: JSON.stringify(newPeering()) } : { status: 204 },
    )
    admin = await startTestAdmin(await createTestDatabase('resources'), {
      GRAPHQL_IDEMPOTENCY_KEY_LOCK_MS: '30000',
      // Fields below an answer are read anew, and two listeners must read the same.
      LOCAL_CACHE_DURATION_MS: '0',
      AUTH_SERVICE_API_URL: other.url,
      WEBHOOK_URL: other.url,
      EGRESS_ALLOW: '127.0.0.1',
      EGRESS_ALLOW_HTTP: 'true',
      ILP_CONNECTOR_URL: 'https://ilp.bank.example',
    })
    books = openBooks(admin.node.db)
    twin = await startAdmin(admin.environment)
    for (const name of names) {
      const party = await admin.newTenant(name)
      parties[name] = {
        party,
        has: await settle(admin, party, { name, peerUrl: `${other.url}/peering`, waitFor }),
      }
    }
    await admin.node.db.execute(sql`create function cut() returns trigger language plpgsql as $$
      begin
        if new.result is not null and new.key like 'cut %' then raise 'connection cut'; end if;
        if new.result is not null and new.key like 'killed %' then perform pg_advisory_xact_lock(4711); end if;
        return new;
      end $$`)
  })
  after(async () => {
    await twin.close()
    await admin.close()
    await other.close()
  })

  const added = (before: Counts, after: Counts): Counts =>
    Object.fromEntries(
      Object.entries(after).flatMap(([name, count]) => {
        const more = count - (before[name] ?? 0)
        return more === 0 ? [] : [[name, more]]
      }),
    )
  const argsOf = (name: string, has: Belongings, key: string) => {
    const { input } = isolationCases[name]?.args(has) as { input: Fields }
    return { input: { ...input, idempotencyKey: key } }
  }
  /** What one call adds when nothing goes wrong. Made once for each mutation. */
  const effects = new Map<string, { args: { input: Fields }; answer: Answer; adds: Counts }>()
  const effectOf = async (name: string) => {
    const known = effects.get(name)
    if (known) return known
    const { party, has } = parties.plain
    const args = argsOf(name, has, `plain ${name}`)
    const before = await books()
    const answer = await admin.call(party, name, args)
    assert.equal(answer.errors, undefined, JSON.stringify(answer.errors))
    const effect = { args, answer, adds: added(before.counts, (await books()).counts) }
    effects.set(name, effect)
    return effect
  }

  for (const name of mutations) {
    it(`${name}: a repeat gets the same answer, other arguments are refused, and neither does anything`, async () => {
      const { party } = parties.plain
      const { args, answer: first } = await effectOf(name)
      const after = await books()
      assert.deepEqual(await admin.call(party, name, args), first)
      const refused = await admin.call(party, name, changed(args))
      assert.equal(codeOf(refused), 'CONFLICT', JSON.stringify(refused))
      assert.equal(refused.errors?.[0]?.extensions.reason, 'idempotency_conflict')
      assert.equal((await books()).sum, after.sum)
    })

    it(`F33: ${name}: ${parallel(name)} at the same time, on two listeners, are one`, async () => {
      const { adds } = await effectOf(name)
      const { party, has } = parties.parallel
      const args = argsOf(name, has, `parallel ${name}`)
      const before = await books()
      const [first, ...others] = await Promise.all(
        Array.from({ length: parallel(name) }, (_, index) =>
          admin.call(party, name, args, index % 2 === 0 ? undefined : twin.ports.admin),
        ),
      )
      assert.equal(first?.errors, undefined, JSON.stringify(first?.errors))
      for (const answer of others) assert.deepEqual(answer, first)
      assert.deepEqual(added(before.counts, (await books()).counts), adds)
    })

    it(`F33: ${name}: cut off between the effect and its stored answer, the repeat has the effect once`, async () => {
      const { adds } = await effectOf(name)
      const { party, has } = parties.crash
      const args = argsOf(name, has, `cut ${name}`)
      const before = await books()
      await admin.node.db.execute(
        sql`create trigger cut before update on idempotency_keys for each row execute function cut()`,
      )
      const cut = await admin.call(party, name, args)
      await admin.node.db.execute(sql`drop trigger cut on idempotency_keys`)
      assert.equal(codeOf(cut), 'INTERNAL_SERVER_ERROR', JSON.stringify(cut))
      assert.equal(codeOf(await admin.call(party, name, changed(args))), 'CONFLICT')
      const repeated = await admin.call(party, name, args, twin.ports.admin)
      assert.equal(repeated.errors, undefined, JSON.stringify(repeated.errors))
      assert.deepEqual(added(before.counts, (await books()).counts), adds)
      assert.deepEqual(await admin.call(party, name, args), repeated)
    })
  }

  it('A21: the same key is another one for each tenant, and says nothing of the other', async () => {
    const [one, two] = [parties.plain, parties.parallel]
    const idempotencyKey = 'the key of both'
    const create = ({ party, has }: typeof one, publicName: string, path: string) =>
      admin.call(party, 'createWalletAddress', {
        input: { assetId: has.asset, address: path, publicName, idempotencyKey },
      })
    const first = await create(one, 'first', 'both')
    const second = await create(two, 'second', 'both')
    assert.equal(second.errors, undefined, JSON.stringify(second.errors))
    assert.ok(!JSON.stringify(second).includes('first'))
    assert.deepEqual(await create(one, 'first', 'both'), first)
    assert.equal(codeOf(await create(two, 'first', 'both')), 'CONFLICT')
  })

  /** A listener in a process of its own; resolves with its port. */
  const startChild = async (): Promise<{ child: ChildProcess; port: number }> => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('server.ts', import.meta.url))], {
      env: { ...admin.environment, LOG_LEVEL: 'info' } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    assert.ok(child.stdout)
    for await (const line of createInterface(child.stdout)) {
      const { started, ports } = JSON.parse(line) as { started?: string; ports?: { admin: number } }
      if (started && ports) return { child, port: ports.admin }
    }
    throw new Error('the child did not start')
  }

  for (const name of ['depositAssetLiquidity', 'createPeer', 'createOutgoingPayment', 'createWalletAddress'])
    it(`F33: ${name}: its process killed between the effect and its stored answer, the repeat has the effect once`, async () => {
      const { db } = admin.node
      const { adds } = await effectOf(name)
      const { party, has } = parties.killed
      const args = argsOf(name, has, `killed ${name}`)
      const before = await books()
      await db.execute(
        sql`create trigger cut before update on idempotency_keys for each row execute function cut()`,
      )
      const { child, port } = await startChild()
      let lost: Promise<unknown> = Promise.resolve()
      await db.tx(async (lock) => {
        await lock.execute(sql`select pg_advisory_xact_lock(4711)`)
        lost = admin.call(party, name, args, port).then(
          () => 'answered',
          () => 'lost',
        )
        const pid = await waitFor(() =>
          db.maybe(
            (row) => row.pid as number,
            sql`select pid from pg_stat_activity where wait_event = 'advisory' and datname = current_database()`,
          ),
        )
        child.kill('SIGKILL')
        await once(child, 'exit')
        // What the server's machine would notice when its peer is gone.
        await db.execute(sql`select pg_terminate_backend(${pid})`)
      })
      assert.equal(await lost, 'lost')
      await db.execute(sql`drop trigger cut on idempotency_keys`)
      // Ten seconds later.
      await db.execute(
        sql`update idempotency_keys set locked_until = now() where key = ${args.input.idempotencyKey}`,
      )
      const repeated = await admin.call(party, name, args)
      assert.equal(repeated.errors, undefined, JSON.stringify(repeated.errors))
      assert.deepEqual(added(before.counts, (await books()).counts), adds)
    })
})
