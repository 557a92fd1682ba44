import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { choosePort } from '../shared/loopback-ports/index.ts'
import { createDb, sql } from '../shared/platform/index.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

let banks: TestBanks
/** Where no package says what a file is, as in the chart's ConfigMap. */
let folder: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'upesi-helm-test-'))
  copyFileSync(join(import.meta.dirname, '../infra/helm/upesi/files/pay.ts'), join(folder, 'pay.mts'))
  banks = await startTestBanks()
})
after(async () => {
  rmSync(folder, { recursive: true })
  await banks.close()
})

/** The script of `helm test`, as the chart's pod runs it: with the node's own Node, and nothing but its environment. */
async function pay(environment: Record<string, string>): Promise<string> {
  const { settings, environment: node } = banks.a
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(folder, 'pay.mts')], {
    env: {
      GRAPHQL_URL: `http://localhost:${settings.ports.admin}/graphql`,
      TENANT_ID: settings.operatorTenantId,
      ADMIN_API_SECRET: settings.adminApiSecret,
      OPEN_PAYMENTS_URL: node.OPEN_PAYMENTS_URL ?? '',
      TIMEOUT_SECONDS: '30',
      ...environment,
    },
    cwd: '/',
  })
  assert.equal(stderr, '')
  return stdout
}

test('the payment of helm test goes through, twice, between wallet addresses of its own, and leaves no money', async () => {
  for (let round = 0; round < 2; round++) {
    const said = await pay({ AMOUNT: '250' })
    assert.match(said, /COMPLETED +sent 250 XTS/)
    assert.match(said, /received +250 XTS, COMPLETED/)
    const [, receiver] = /^receiver +\S+\/(\S+)$/m.exec(said) ?? []
    const [, payment] = /^outgoing payment +(\S+)$/m.exec(said) ?? []
    const left = await banks.a.admin.graphql<Record<string, { liquidity: string | null }>>(
      'query Left($in: String!, $out: String!) { incomingPayment(id: $in) { liquidity } outgoingPayment(id: $out) { liquidity } }',
      { in: receiver, out: payment },
    )
    for (const { liquidity } of Object.values(left)) assert.equal(Number(liquidity ?? 0), 0)
  }
  const db = createDb({ connectionString: banks.databases.a.resources, poolSizeMax: 1 })
  try {
    const found = await db.many(
      (row) => row.address as string,
      sql`select address from wallet_addresses where address like '%/helm-test/%' order by address`,
    )
    assert.deepEqual(
      found.map((url) => url.split('/').at(-1)),
      ['payee', 'payer'],
    )
  } finally {
    await db.close()
  }
  await banks.audit()
})

test('it goes to the other node between wallet addresses that were named', async () => {
  const { walletAddresses } = banks.seeded.a
  const said = await pay({
    PAYER: walletAddresses.alice?.address ?? '',
    PAYEE: banks.seeded.b.walletAddresses.bahati?.address ?? '',
  })
  assert.match(said, /COMPLETED +sent \d+ USD/)
  await banks.audit()
})

test('it waits until the node is reached, and no longer than it may', async () => {
  const port = await choosePort()
  const GRAPHQL_URL = `http://127.0.0.1:${port}/graphql`
  await assert.rejects(pay({ GRAPHQL_URL, TIMEOUT_SECONDS: '0.1' }), /ECONNREFUSED/)
  const paying = pay({ GRAPHQL_URL })
  await sleep(500)
  const way = createServer((outside) => {
    const inside = connect(banks.a.settings.ports.admin, 'localhost')
    outside.pipe(inside).pipe(outside)
    for (const end of [outside, inside]) end.on('error', () => undefined)
  })
  try {
    way.listen(port, '127.0.0.1')
    await once(way, 'listening')
    assert.match(await paying, /COMPLETED +sent 100 XTS/)
  } finally {
    way.close()
  }
})

test('it fails, and says why, when the payment cannot be made', async () => {
  const failure = (environment: Record<string, string>) =>
    pay(environment).then(
      () => 'none',
      (error: unknown) => `${(error as { code: number }).code} ${(error as { stderr: string }).stderr}`,
    )
  assert.match(await failure({ ADMIN_API_SECRET: 'wrong' }), /^1 [\s\S]*Error: /)
  assert.match(
    await failure({ PAYER: 'https://nobody.example/x' }),
    /^1 [\s\S]*is no wallet address of this node/,
  )
})
