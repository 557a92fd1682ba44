import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { createOpenApiValidator } from '../../shared/openapi/eager-validator.ts'
import {
  type createLazyValidator,
  type Operation,
  readDocument,
  type SpecName,
} from '../../shared/openapi/index.ts'
import { validatorsOfRequests } from './validators.ts'

const specs: readonly SpecName[] = ['auth-server', 'resource-server', 'wallet-address-server']
const METHODS: readonly Operation['method'][] = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH']
const operationsOf = (spec: SpecName): Operation[] =>
  Object.entries(readDocument(spec).paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method.toLowerCase() in item).map((method) => ({ method, path })),
  )

let folder: string
let bundled: { createLazyValidator: typeof createLazyValidator }
let inputs: string[]
before(async () => {
  // Below the repository: the specifications are read from its packages.
  folder = await mkdtemp(resolve('node_modules/.upesi-validators-'))
  const { metafile } = await build({
    entryPoints: ['shared/openapi/lazy-validator.ts'],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    packages: 'bundle',
    external: ['@interledger/open-payments', 'yaml', 'pino', 'pg', 'ioredis', 'undici', 'fastify'],
    plugins: [validatorsOfRequests()],
    metafile: true,
    logLevel: 'error',
  })
  const [requests] = Object.values(metafile.outputs).filter(({ entryPoint }) =>
    entryPoint?.endsWith('request-compiler.ts'),
  )
  inputs = Object.keys(requests?.inputs ?? {})
  bundled = await import(join(folder, 'lazy-validator.mjs'))
})
after(() => rm(folder, { recursive: true, force: true }))

const uuid = '20ac3b51-0a4c-4a7a-9f39-2c8d1b3a4b7c'
const wallet = 'https://bank.example/alice'
const amount = (value: unknown) => ({ value, assetCode: 'USD', assetScale: 2 })
const access = (actions: unknown) => ({ access_token: { access: [{ type: 'incoming-payment', actions }] } })
const bodies: unknown[] = [
  undefined,
  null,
  [],
  {},
  { client: 1 },
  { ...access(['create', 'read']), client: wallet },
  { ...access(['create', 'create']), client: wallet },
  { ...access(['fly']), client: wallet },
  { ...access('create'), client: wallet },
  { ...access(['read']), client: wallet, interact: { start: ['redirect'] } },
  {
    ...access(['read']),
    client: wallet,
    interact: { start: [], finish: { method: 'redirect', uri: 'no uri', nonce: 'n' } },
  },
  { ...access(['read']), client: 'no url' },
  { interact_ref: uuid },
  { interact_ref: 7 },
  { walletAddress: wallet },
  { walletAddress: wallet, incomingAmount: amount('1') },
  { walletAddress: wallet, incomingAmount: amount('18446744073709551616') },
  { walletAddress: wallet, incomingAmount: amount(1), expiresAt: 'tomorrow' },
  { walletAddress: wallet, expiresAt: '2030-01-01T00:00:00Z', metadata: { é: '\u{1F4B6}' } },
  { walletAddress: wallet, quoteId: `${wallet}/quotes/${uuid}` },
  { walletAddress: wallet, receiver: `https://bank.example/incoming-payments/${uuid}`, method: 'ilp' },
  { walletAddress: wallet, receiver: 'x'.repeat(9_000), method: 'ilp', debitAmount: amount('1') },
]
const queries = [{}, { first: '10', 'wallet-address': wallet }, { first: 'x' }, { last: '101', cursor: uuid }]

test('functions that are ready say of every operation what those say that are made of its schemas', async () => {
  let refused = 0
  let taken = 0
  for (const spec of specs) {
    const [ready, made] = [bundled.createLazyValidator({ spec }), createOpenApiValidator({ spec })]
    for (const operation of operationsOf(spec))
      for (const body of bodies)
        for (const query of queries) {
          const request = { headers: { 'content-type': 'application/json', signature: 's' }, body, query }
          const expected = await outcome(() => made.validateRequest(operation, request))
          assert.deepEqual(await outcome(() => ready.validateRequest(operation, request)), expected)
          if (typeof expected === 'string') refused++
          else taken++
        }
  }
  assert.ok(refused > 100 && taken > 20, `${refused} refused, ${taken} taken`)
})

test('what makes functions of schemas is not among them', () => {
  assert.ok(inputs.some((input) => input.endsWith('upesi-validators')))
  assert.deepEqual(
    inputs.filter((input) => /node_modules\/ajv\/dist\/(?!runtime\/)/.test(input)),
    [],
  )
})

async function outcome(check: () => unknown): Promise<unknown> {
  try {
    return await check()
  } catch (error) {
    return String(error)
  }
}
