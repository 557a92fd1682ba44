import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createAuthenticatedClient } from '@interledger/open-payments'
import { authServiceSecret } from '../shared/auth-service-client/index.ts'
import { connectorRpcSecret } from '../shared/connector-client/index.ts'
import { createDb, createLogger, createSecretBox, signHmac, sql } from '../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../shared/testing/index.ts'
import { deployableNames } from './bank.ts'
import {
  type BankName,
  type BankSettings,
  bankEnvironment,
  createBankSettings,
  customerKey,
  keyFile,
} from './bank-settings.ts'
import { type ChildBank, startChildBank } from './child-bank.ts'
import { createOutgoingPayment, createQuote, createReceiver, pay } from './payment.ts'
import { demoPlan } from './seed.ts'
import { consentWithSecrets } from './testing/secret-consent.ts'
import { startTwoBanks, type TwoBanks } from './two-banks.ts'

const timeoutMs = 30_000

/** A secret and the other ways in which its bytes could be written. */
function spellings(secret: string): string[] {
  const forms = new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
  for (const encoding of ['utf8', 'base64', 'hex'] as const) {
    const bytes = Buffer.from(secret, encoding)
    if (encoding !== 'utf8' && bytes.length < 16) continue
    for (const form of ['base64', 'base64url', 'hex'] as const) forms.add(bytes.toString(form))
  }
  return [...forms].filter((form) => form.length >= 16)
}

/** The body of a PEM file, which is one line for these keys. */
const bodyOfPem = (pem: string) => pem.split('\n')[1] ?? ''

describe('what the banks log, at the most talkative level', () => {
  const names: readonly BankName[] = ['a', 'b']
  const closers: (() => Promise<unknown>)[] = []
  const children = {} as Record<BankName, ChildBank>
  let settings: Record<BankName, BankSettings>
  let databases: Record<BankName, { resources: TestDatabase; auth: TestDatabase }>
  let banks: TwoBanks
  const lines: string[] = []
  /** By what they are. */
  const secrets = new Map<string, string>()

  before(async () => {
    const codes = demoPlan.a.assets.map(({ code }) => code)
    settings = { a: await createBankSettings('a', codes), b: await createBankSettings('b', codes) }
    databases = {
      a: { resources: await createTestDatabase('resources'), auth: await createTestDatabase('auth') },
      b: { resources: await createTestDatabase('resources'), auth: await createTestDatabase('auth') },
    }
    const connectionStrings = Object.fromEntries(
      names.map((name) => {
        const { resources, auth } = databases[name]
        return [name, { resources: resources.connectionString, auth: auth.connectionString }]
      }),
    ) as Record<BankName, { resources: string; auth: string }>
    for (const name of names) {
      const pem = await keyFile(join(tmpdir(), `upesi-secrets-${process.pid}-${name}.pem`))
      const overrides = { LOG_LEVEL: 'trace', PRIVATE_KEY_FILE: pem, WAIT_SECONDS: '0' }
      const environment = bankEnvironment(settings[name], connectionStrings[name], overrides)
      noteSecrets(name, settings[name], environment)
      secrets.set(`${name}: node's key`, bodyOfPem(await readFile(pem, 'utf8')))
      children[name] = await startChildBank({
        settings: settings[name],
        environment,
        onLog: (text) => void lines.push(text),
      })
      closers.push(
        () => rm(pem),
        () => children[name].close(),
      )
    }
    const walletLog = { write: (text: string) => void lines.push(text) }
    banks = await startTwoBanks({
      settings,
      databases: connectionStrings,
      except: { a: deployableNames, b: deployableNames },
      log: createLogger({ level: 'trace', name: 'wallet', destination: walletLog }),
    })
    closers.push(() => banks.close())
  })
  after(async () => {
    for (const close of closers.reverse()) await close()
    for (const name of names) for (const database of Object.values(databases[name])) await database.drop()
  })

  function noteSecrets(name: BankName, given: BankSettings, environment: Record<string, string>): void {
    const { adminApiSecret, peerTokens, customerKeyPem } = given
    for (const [variable, value] of Object.entries(environment))
      if (/SECRET|KEY$/.test(variable)) secrets.set(`${name}: ${variable}`, value)
    for (const [code, token] of Object.entries(peerTokens)) secrets.set(`${name}: peer token ${code}`, token)
    secrets.set(
      `${name}: database password`,
      new URL(environment.DATABASE_URL?.replace('@/', '@host/') ?? '').password,
    )
    secrets.set(`${name}: customer's key`, bodyOfPem(customerKeyPem))
    secrets.set(`${name}: RPC secret`, connectorRpcSecret({ adminApiSecret }))
    secrets.set(
      `${name}: service API secret`,
      authServiceSecret({ authServiceApiSecret: undefined, adminApiSecret }),
    )
  }

  /** The tokens that A holds at B. */
  async function noteGrantedTokens(): Promise<void> {
    const db = createDb({ connectionString: databases.a.resources.connectionString, poolSizeMax: 1 })
    try {
      const box = createSecretBox(settings.a.adminApiSecret)
      const rows = await db.many(
        (row) => row,
        sql`select tenant_id, auth_server, access_type, actions, access_token_sealed from remote_grants`,
      )
      for (const row of rows) {
        const key = [row.tenant_id, row.auth_server, row.access_type, row.actions]
        secrets.set(
          `a: token for ${row.actions}`,
          box.open(row.access_token_sealed, `remote_grants:${JSON.stringify(key)}`),
        )
      }
      assert.ok(rows.length > 0, 'A has grants at B')
    } finally {
      await db.close()
    }
  }

  async function useOpenPayments(): Promise<void> {
    const alice = banks.side('a', 'alice').walletAddress.address
    const bob = banks.side('b', 'bob').walletAddress.address
    const client = await createAuthenticatedClient({
      walletAddressUrl: alice,
      privateKey: customerKey(settings.a),
      keyId: 'alice-key',
      useHttp: true,
      logLevel: 'silent',
    })
    const { authServer, resourceServer } = await client.walletAddress.get({ url: bob })
    const actions = ['create' as const, 'read' as const]
    const grant = await client.grant.request(
      { url: authServer },
      { access_token: { access: [{ type: 'incoming-payment', actions }] } },
    )
    assert.ok('access_token' in grant && grant.access_token)
    const { value: accessToken, manage } = grant.access_token
    secrets.set('client: token', accessToken)
    secrets.set('client: continuation', grant.continue.access_token.value)
    const { id } = await client.incomingPayment.create(
      { url: resourceServer, accessToken },
      { walletAddress: bob },
    )
    const payment = await client.incomingPayment.get({ url: id, accessToken })
    assert.ok('methods' in payment)
    for (const method of payment.methods) secrets.set('shared secret', method.sharedSecret)
    const rotated = await client.token.rotate({ url: manage, accessToken })
    secrets.set('client: rotated token', rotated.access_token.value)
    await assert.rejects(client.incomingPayment.get({ url: id, accessToken }))
  }

  /** Everything that is refused, and may be tempted to say of what. */
  async function failInManyWays(): Promise<void> {
    const { ports, adminApiSecret, operatorTenantId, peerTokens } = settings.b
    const send = (url: string, headers: Record<string, string>, body: string) =>
      fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
    const body = { query: '{ nonsense }', variables: { apiSecret: adminApiSecret } }
    const signature = signHmac({ secret: adminApiSecret, version: 1, timestampMs: Date.now(), body })
    const admin = `http://localhost:${ports.admin}/graphql`
    await send(admin, { 'tenant-id': operatorTenantId, signature }, JSON.stringify(body))
    await send(admin, { 'tenant-id': operatorTenantId, signature: adminApiSecret }, JSON.stringify(body))
    await send(admin, {}, `{"secret": "${adminApiSecret}", `)
    const octets = { 'content-type': 'application/octet-stream' }
    const connector = `http://localhost:${ports.connector}/`
    await send(connector, { ...octets, authorization: `Bearer ${peerTokens.USD}` }, 'no packet')
    await send(connector, { ...octets, authorization: `Basic ${peerTokens.EUR}` }, 'no packet')
    const rpc = `http://localhost:${ports.connectorRpc}/rpc/send`
    await send(rpc, { signature: connectorRpcSecret({ adminApiSecret }) }, JSON.stringify(body))
    const token = secrets.get('client: rotated token') ?? ''
    const openPayments = `http://localhost:${ports.openPayments}/${operatorTenantId}/incoming-payments`
    await send(openPayments, { authorization: `GNAP ${token}` }, '{}')
    await send(
      `http://localhost:${ports.auth}/continue/${operatorTenantId}`,
      { authorization: `GNAP ${token}` },
      '{}',
    )
    await send(`http://localhost:${ports.introspection}/`, {}, JSON.stringify({ access_token: [token] }))
  }

  it('names no secret, whatever succeeds and whatever fails', async () => {
    const payer = banks.side('a', 'alice')
    const remote = { payer, payee: banks.side('b', 'bob'), receiveValue: 500n, timeoutMs }
    assert.equal((await pay(remote)).outgoing.state, 'COMPLETED')
    await pay({ ...remote, payee: banks.side('a', 'amara') })
    await noteGrantedTokens()
    await useOpenPayments()
    await consentWithSecrets(banks, (what, secret) => void secrets.set(`consent: ${what}`, secret))
    await failInManyWays()

    // B dies while A wants to pay it.
    const receiver = await createReceiver(remote)
    const quote = await createQuote(remote, receiver)
    await children.b.kill()
    const id = await createOutgoingPayment(remote, quote.id)
    await payer.journal.wait('outgoing_payment.created', id, timeoutMs)
    await assert.rejects(createReceiver(remote))
    await assert.rejects(createQuote(remote, receiver))
    await waitFor(async () => lines.some((text) => text.includes('"name":"payments"') && text.includes(id)))
    await children.a.close()

    const log = lines.join('')
    assert.match(log, /"level":"debug".*grant obtained/)
    assert.match(log, /"level":"warn"/)
    assert.match(log, /customer decided/)
    assert.ok(secrets.size > 40, `only ${secrets.size} secrets`)
    for (const [what, secret] of secrets) {
      assert.ok(secret.length >= 16, `${what} is no secret`)
      for (const form of spellings(secret)) {
        const at = log.indexOf(form)
        assert.equal(at, -1, `${what} is in the log: ${log.slice(Math.max(0, at - 200), at)}…`)
      }
    }
  })

  it('would be noticed', () => {
    const canary = randomBytes(32).toString('base64')
    const lines: string[] = []
    const logger = createLogger({
      level: 'trace',
      name: 'test',
      destination: { write: (text) => void lines.push(text) },
    })
    logger.info({ deep: { deeper: { deepest: { unnamed: Buffer.from(canary, 'base64').toString('hex') } } } })
    assert.ok(spellings(canary).some((form) => lines.join('').includes(form)))
    logger.info({
      headers: { authorization: canary },
      err: Object.assign(new Error('x'), { details: { token: canary } }),
    })
    assert.ok(!lines[1]?.includes(canary), lines[1])
  })
})
