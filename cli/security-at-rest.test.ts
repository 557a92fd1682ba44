import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createAuthenticatedClient } from '@interledger/open-payments'
import { authServiceSecret } from '../shared/auth-service-client/index.ts'
import { connectorRpcSecret } from '../shared/connector-client/index.ts'
import { createDb, createSecretBox, rawSql, sql } from '../shared/platform/index.ts'
import { type BankName, bankEnvironment, customerKey } from './bank-settings.ts'
import { pay } from './payment.ts'
import { consentWithSecrets } from './testing/secret-consent.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const names: readonly BankName[] = ['a', 'b']

/** A secret as text, and as the ways in which Postgres or JSON could show its bytes. */
function spellings(secret: string): string[] {
  const forms = new Set([secret, secret.toLowerCase(), JSON.stringify(secret).slice(1, -1)])
  for (const encoding of ['utf8', 'base64', 'hex'] as const) {
    const bytes = Buffer.from(secret, encoding)
    if (bytes.length < 16) continue
    for (const form of ['base64', 'base64url', 'hex'] as const) forms.add(bytes.toString(form))
  }
  return [...forms].filter((form) => form.length >= 16)
}

/** Every row of every table, as Postgres writes it. */
async function contentsOf(connectionString: string): Promise<string> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  try {
    const tables = await db.many(
      (row) => row.name as string,
      sql`select format('%I.%I', schemaname, tablename) as name from pg_tables
          where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
    )
    const rows: string[] = []
    for (const table of tables)
      rows.push(
        ...(await db.many((row) => `${table} ${row.text}`, rawSql(`select r::text as text from ${table} r`))),
      )
    return rows.join('\n')
  } finally {
    await db.close()
  }
}

/** What banks hold of others and others hold of them is worth nothing to who reads their databases. */
describe('what the databases hold', () => {
  let banks: TestBanks
  /** By what they are. */
  const secrets = new Map<string, string>()
  before(async () => {
    const environment = { WAIT_SECONDS: '0' }
    banks = await startTestBanks({ environments: { a: environment, b: environment } })
  })
  after(() => banks.close())

  function noteConfigured(): void {
    for (const name of names) {
      const { settings } = banks[name]
      const environment = bankEnvironment(settings, banks.databases[name])
      for (const [variable, value] of Object.entries(environment))
        if (/SECRET|KEY$/.test(variable)) secrets.set(`${name}: ${variable}`, String(value))
      for (const [code, token] of Object.entries(settings.peerTokens))
        secrets.set(`${name}: peer token ${code}`, token)
      secrets.set(`${name}: customer's key`, settings.customerKeyPem.split('\n')[1] ?? '')
      const { adminApiSecret } = settings
      secrets.set(`${name}: RPC secret`, connectorRpcSecret({ adminApiSecret }))
      secrets.set(
        `${name}: service secret`,
        authServiceSecret({ authServiceApiSecret: undefined, adminApiSecret }),
      )
    }
  }

  /** The tokens that A holds at B, for paying there. */
  async function noteHeldTokens(): Promise<void> {
    const db = createDb({ connectionString: banks.databases.a.resources, poolSizeMax: 1 })
    try {
      const box = createSecretBox(banks.a.settings.adminApiSecret)
      const rows = await db.many(
        (row) => row,
        sql`select tenant_id, auth_server, access_type, actions, access_token_sealed from remote_grants`,
      )
      assert.ok(rows.length > 0, 'A has grants at B')
      for (const row of rows) {
        const place = JSON.stringify([row.tenant_id, row.auth_server, row.access_type, row.actions])
        secrets.set(
          `a: token for ${row.actions}`,
          box.open(row.access_token_sealed, `remote_grants:${place}`),
        )
      }
    } finally {
      await db.close()
    }
  }

  async function useOpenPayments(): Promise<void> {
    const bob = banks.side('b', 'bob').walletAddress.address
    const alice = banks.side('a', 'alice').walletAddress.address
    const client = await createAuthenticatedClient({
      walletAddressUrl: alice,
      privateKey: customerKey(banks.a.settings),
      keyId: 'alice-key',
      useHttp: true,
      logLevel: 'silent',
    })
    const { authServer, resourceServer } = await client.walletAddress.get({ url: bob })
    const access = [{ type: 'incoming-payment' as const, actions: ['create' as const, 'read' as const] }]
    const grant = await client.grant.request({ url: authServer }, { access_token: { access } })
    assert.ok('access_token' in grant && grant.access_token)
    const { value: accessToken, manage } = grant.access_token
    secrets.set('client: token', accessToken)
    secrets.set('client: continuation', grant.continue.access_token.value)
    const payment = await client.incomingPayment.create(
      { url: resourceServer, accessToken },
      { walletAddress: bob },
    )
    for (const method of payment.methods) secrets.set('shared secret', method.sharedSecret)
    const rotated = await client.token.rotate({ url: manage, accessToken })
    secrets.set('client: rotated token', rotated.access_token.value)
  }

  it('is no secret that anybody could use: hashes, and sealed texts', async () => {
    noteConfigured()
    const remote = {
      payer: banks.side('a', 'alice'),
      payee: banks.side('b', 'bob'),
      receiveValue: 500n,
      timeoutMs: 30_000,
    }
    assert.equal((await pay(remote)).outgoing.state, 'COMPLETED')
    await noteHeldTokens()
    await useOpenPayments()
    await consentWithSecrets(banks, (what, secret) => {
      // The client's nonce is hashed with the reference when the browser is back; alone it opens nothing.
      if (!what.startsWith("client's nonce")) secrets.set(`consent: ${what}`, secret)
    })
    assert.ok(secrets.size > 35, `only ${secrets.size} secrets`)
    for (const name of names)
      for (const [kind, connectionString] of Object.entries(banks.databases[name])) {
        const contents = await contentsOf(connectionString)
        assert.ok(contents.split('\n').length > 5, `${name} ${kind} has rows`)
        for (const [what, secret] of secrets) {
          assert.ok(secret.length >= 16, `${what} is no secret`)
          for (const form of spellings(secret)) {
            const at = contents.indexOf(form)
            const row = contents.slice(contents.lastIndexOf('\n', at) + 1, at)
            assert.equal(at, -1, `${what} is in ${kind} of ${name}: ${row.slice(0, 200)}…`)
          }
        }
      }
  })
})
