/**
 * `npm run bench:cold-start`: from the start of a process until its first answer, of functions in sandboxes (the real handlers, the
 * sources against the bundles) and of bundled servers, over embedded PostgreSQL whose databases are migrated. Rounds go through all rows
 * by turns, so that what the machine does besides meets all of them.
 * `--rounds=<number>`, `--row=<part of a name>`, `--profile=<folder>` (the bundles' CPU profiles, from runs of their own).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { testEnvironment as authTestEnvironment, startTestAuth } from '../functions/auth/harness.ts'
import { startTestNode } from '../functions/open-payments/harness.ts'
import { bundleRole } from '../scripts/build/bundle.ts'
import { findRoles } from '../scripts/build/roles.ts'
import { signRequest } from '../shared/http-signatures/index.ts'
import { signHmac } from '../shared/platform/index.ts'
import { createTestDatabase, startTestServer, TEST_SERVER_VARIABLE } from '../shared/testing/index.ts'
import { toAlbEvent, toHttpApiEvent } from '../shared/testing/lambda-simulator/http-events.ts'
import { type Invocation, measureInvocation, measureServer, type Sample } from './cold-start/measure.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    row: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
})

type Measured = Omit<Invocation, 'module'> & { name: string; role: string }

interface Row {
  name: string
  measure: () => Promise<Sample>
}

const httpRequest = (publicUrl: string, target: string, headers: Record<string, string> = {}, body = '') => ({
  method: body === '' ? 'GET' : 'POST',
  target,
  rawHeaders: Object.entries(headers).flat(),
  body: Buffer.from(body),
  sourceIp: '203.0.113.7',
  publicUrl: new URL(publicUrl),
})

/** Outside tests nothing on this machine may be asked, and where nobody is asked nothing need be. */
const NOBODY_ASKED = { EGRESS_ALLOW: '', EGRESS_ALLOW_HTTP: 'false' }

/** What Lambda itself sets, as far as no client of AWS takes it for an order. */
const OF_LAMBDA = {
  AWS_LAMBDA_FUNCTION_NAME: 'upesi',
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024',
  AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
  AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/upesi',
  AWS_LAMBDA_LOG_STREAM_NAME: 'bench',
  AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
  AWS_REGION: 'eu-central-1',
  LAMBDA_TASK_ROOT: '/var/task',
  LAMBDA_RUNTIME_DIR: '/var/runtime',
}

/** As on Lambda: a pool of one, migrated by somebody else. */
const SANDBOX = {
  ...OF_LAMBDA,
  NODE_ENV: 'production',
  LOG_LEVEL: 'warn',
  ENABLE_MANUAL_MIGRATIONS: 'true',
  DATABASE_POOL_SIZE: '1',
}

const textsOf = (environment: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )

type TestBank = Awaited<ReturnType<typeof startTestNode>>
type TestAuth = Awaited<ReturnType<typeof startTestAuth>>

async function openPaymentsRows(bank: TestBank): Promise<Measured[]> {
  const client = await bank.createClient('/client')
  const environment = { ...textsOf(bank.environment), ...SANDBOX }
  const signedList = () => {
    const target = `/incoming-payments?wallet-address=${encodeURIComponent(client.walletAddress)}`
    const token = bank.grant(client, [{ type: 'incoming-payment', actions: ['list'] }] as never)
    const headers = signRequest({
      method: 'GET',
      url: `${bank.publicUrl}${target}`,
      headers: { Authorization: `GNAP ${token}`, Accept: 'application/json' },
      privateKey: client.privateKey,
      keyId: client.keyId,
    })
    return toHttpApiEvent(httpRequest(bank.publicUrl, target, headers))
  }
  const base = { role: 'open-payments', handler: 'handler', environment, status: 200 }
  const alone = { ...environment, ...NOBODY_ASKED }
  const address = httpRequest(bank.publicUrl, '/client', { accept: 'application/json' })
  return [
    { ...base, environment: alone, name: 'open-payments: wallet address', event: toHttpApiEvent(address) },
    { ...base, name: 'open-payments: signed list of payments', event: signedList() },
  ]
}

function authRows(auth: TestAuth, connectionString: string): Measured[] {
  const environment = {
    ...textsOf(authTestEnvironment(connectionString, Number(new URL(auth.publicUrl).port), auth.tenantId)),
    ...SANDBOX,
    AUTH_LISTENERS: 'auth',
  }
  const client = auth.createClient()
  const body = JSON.stringify({
    access_token: { access: [{ type: 'incoming-payment', actions: ['create', 'read'] }] },
    client: client.walletAddress,
  })
  const headers = signRequest({
    method: 'POST',
    url: `${auth.publicUrl}/${auth.tenantId}`,
    headers: {},
    body,
    privateKey: client.privateKey,
    keyId: client.jwk.kid,
  })
  const base = { role: 'auth', handler: 'auth', environment, status: 200 }
  return [
    {
      ...base,
      environment: { ...environment, ...NOBODY_ASKED },
      name: 'auth: discovery',
      event: toHttpApiEvent(httpRequest(auth.publicUrl, '/discovery')),
    },
    {
      ...base,
      name: 'auth: signed grant request',
      event: toHttpApiEvent(httpRequest(auth.publicUrl, `/${auth.tenantId}`, headers, body)),
    },
  ]
}

function adminRow(bank: TestBank): Measured {
  const environment = {
    ...textsOf(bank.environment),
    ...SANDBOX,
    ...NOBODY_ASKED,
    AUTH_SERVICE_API_URL: 'http://127.0.0.1:9',
    ADMIN_API_SIGNATURE_TTL_SECONDS: '3600',
  }
  const body = { query: '{ assets { edges { node { id code scale } } } }', variables: {} }
  const secret = bank.environment.ADMIN_API_SECRET ?? ''
  const signature = signHmac({ secret, version: 1, timestampMs: Date.now(), body })
  const headers = { 'content-type': 'application/json', 'tenant-id': bank.tenantId, signature }
  const event = toAlbEvent(httpRequest('https://admin.internal', '/graphql', headers, JSON.stringify(body)))
  return { name: 'admin: signed query', role: 'admin', handler: 'handler', environment, event, status: 200 }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const ms = (value: number) => value.toFixed(0).padStart(5)

function print(samples: ReadonlyMap<string, readonly Sample[]>): void {
  console.log(`\n${'first answer of'.padEnd(58)} CPU ms: median  min | wall ms: median  min | CPU after it`)
  for (const [name, of] of samples) {
    const [cpu, wall] = [of.map(({ cpuMs }) => cpuMs), of.map(({ wallMs }) => wallMs)]
    const later = of.flatMap(({ laterCpuMs }) => laterCpuMs ?? [])
    console.log(
      `${name.padEnd(58)} ${ms(median(cpu)).padStart(14)} ${ms(Math.min(...cpu))} | ${ms(median(wall)).padStart(15)} ${ms(Math.min(...wall))} | ${later.length > 0 ? ms(median(later)) : ''}`,
    )
  }
}

async function main(): Promise<void> {
  const server = await startTestServer()
  process.env[TEST_SERVER_VARIABLE] = server.connectionString
  const closers: (() => Promise<unknown>)[] = [() => server.stop()]
  try {
    const dist = await mkdtemp(join(tmpdir(), 'upesi-cold-start-'))
    closers.push(() => rm(dist, { recursive: true, force: true }))
    await Promise.all(findRoles().map((role) => bundleRole(role, dist)))
    const resources = await createTestDatabase('resources')
    const ofAuth = await createTestDatabase('auth')
    closers.push(
      () => resources.drop(),
      () => ofAuth.drop(),
    )
    const bank = await startTestNode(resources.connectionString)
    closers.push(() => bank.close())
    const auth = await startTestAuth(ofAuth.connectionString)
    closers.push(() => auth.close())

    const functions = [
      ...(await openPaymentsRows(bank)),
      ...authRows(auth, ofAuth.connectionString),
      adminRow(bank),
    ]
    const bundled = (row: Measured) => join(dist, row.role, 'lambda.mjs')
    const worker = { ...textsOf(bank.environment), ...SANDBOX }
    const rows: Row[] = [
      ...functions.flatMap((row): Row[] => [
        { name: `${row.name}, bundle`, measure: () => measureInvocation({ ...row, module: bundled(row) }) },
        {
          name: `${row.name}, sources`,
          measure: () => measureInvocation({ ...row, module: resolve('functions', row.role, 'lambda.ts') }),
        },
      ]),
      ...['webhooks', 'payments'].map(
        (role): Row => ({
          name: `${role}: server has started, bundle`,
          measure: () => measureServer(join(dist, role, 'server.mjs'), worker),
        }),
      ),
    ].filter(({ name }) => name.includes(options.row))

    const samples = new Map<string, Sample[]>(rows.map(({ name }) => [name, []]))
    for (let round = 0; round <= Number(options.rounds); round++)
      for (const { name, measure } of rows) {
        const sample = await measure()
        // The first round reads files for the first time.
        if (round > 0) samples.get(name)?.push(sample)
      }
    print(samples)
    const { model } = cpus()[0] ?? { model: 'unknown' }
    console.log(
      `\n${options.rounds} rounds by turns on ${cpus().length} × ${model}, Node ${process.version}; PostgreSQL on the same machine. CPU: user and\nsystem time of the process from its start to its first answer; wall: since the process began.`,
    )
    if (options.profile)
      for (const row of functions.filter(({ name }) => name.includes(options.row)))
        await measureInvocation({ ...row, module: bundled(row) }, [
          '--cpu-prof',
          `--cpu-prof-dir=${options.profile}/${row.name.replace(/\W+/g, '-')}`,
        ])
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

await main()
