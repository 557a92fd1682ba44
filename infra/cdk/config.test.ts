import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import project from '../../package.json' with { type: 'json' }
import { ConfigProblems, parseConfig, readConfig } from './config.ts'
import { environmentOf } from './environment.ts'
import type { Json } from './harness.ts'

const example = (name: string): Json =>
  JSON.parse(readFileSync(new URL(`./examples/${name}.json`, import.meta.url), 'utf8'))

function problemsOf(change: Json, name = 'small'): readonly string[] {
  try {
    parseConfig({ ...example(name), ...change })
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigProblems)
    return error.problems
  }
}

test('the examples are valid', () => {
  assert.deepEqual(problemsOf({}), [])
  assert.deepEqual(problemsOf({}, 'full'), [])
})

for (const [name, change, problem] of [
  ['an unknown profile', { profile: 'huge' }, /^profile: must be one of small, full/],
  ['an unknown key', { databse: {} }, /^databse: unknown/],
  ['an unknown key further down', { database: { replicas: 1 } }, /^database\.replicas: unknown/],
  ['another type', { logDays: 'ninety' }, /^logDays: must be a number/],
  ['an object where a list stands', { domains: {} }, /^domains: must be a list/],
  ['days that CloudWatch does not know', { logDays: 42 }, /^logDays: must be one of/],
  ['a front that is none', { front: 'cloudfront' }, /^front: must be one of httpApi, functionUrl/],
  ['a name that no stack can have', { name: 'my bank' }, /^name: /],
  ['Lambda workers without a broker', { queue: 'postgres' }, /^workers: with queue postgres/],
  ['connectors that share nothing', { connector: { count: 2 } }, /^cache: several connectors/],
  ['replicas without a program', { ledger: 'tigerbeetle' }, /^tigerbeetle\.binary/],
  [
    'an image that is named twice',
    { images: { main: { ecrRepository: 'upesi', uri: 'x' } } },
    /^images\.main: either/,
  ],
  [
    'settings of a function that is none',
    { functions: { each: { mail: {} } } },
    /^functions\.each\.mail: no such/,
  ],
  [
    'half a sandbox',
    { functions: { each: { auth: { reservedConcurrency: 0.5 } } } },
    /whole number, or none/,
  ],
  ['a host without a domain', { domains: [] }, /^domains: ilp\.wallet\.example is missing/],
  [
    'a domain that cannot have a certificate',
    { domains: [{ host: 'ilp.wallet.example' }] },
    /needs a certificateArn/,
  ],
  ['a name with two hyphens', { name: 'my--node' }, /^name: /],
  ['one zone', { network: { azCount: 1 } }, /^network\.azCount: must be 2 or 3/],
  ['four zones', { network: { azCount: 4 } }, /^network\.azCount: must be 2 or 3/],
  ['no way out', { network: { natGateways: 0 } }, /^network\.natGateways: must be 1/],
  ['clients from everywhere', { network: { clientCidrs: ['0.0.0.0/0'] } }, /^network\.clientCidrs: 0/],
  [
    'a private destination without a port',
    { network: { privateDestinations: [{ cidr: '10.20.0.0/16', why: 'x' }] } },
    /^network\.privateDestinations: 10/,
  ],
  ['no backups', { database: { backupDays: 0 } }, /^database\.backupDays: must be/],
  ['alarms for nobody', { alarms: { mail: 'x@wallet.example' } }, /^alarms\.mail: unknown/],
  [
    'a setting that no function has',
    { functions: { each: { auth: { memory: 512 } } } },
    /^functions\.each\.auth\.memory: unknown/,
  ],
  [
    'more time than a gateway waits',
    { functions: { defaults: { timeoutSeconds: 60 } } },
    /^functions\.defaults\.timeoutSeconds: must be 1 to 29/,
  ],
  [
    "a worker's time, which its queue goes with",
    { functions: { each: { payments: { timeoutSeconds: 20 } } } },
    /^functions\.each\.payments\.timeoutSeconds: goes with/,
  ],
  [
    "the migrations' time",
    { functions: { each: { migrate: { timeoutSeconds: 20 } } } },
    /^functions\.each\.migrate\.timeoutSeconds: goes with/,
  ],
  ['an image by another name', { images: { main: { name: 'x' } } }, /^images\.main\.name: unknown/],
  ['plain http', { urls: { auth: 'http://auth.wallet.example' } }, /^urls\.auth: must be an https URL/],
  [
    'two listeners at one host',
    { urls: { ...(example('small').urls as Json), auth: 'https://ilp.wallet.example' } },
    /hosts of their own/,
  ],
  [
    'a variable that nothing reads',
    { environment: { ILP_ADRESS: 'x' } },
    /^environment\.ILP_ADRESS: no role reads it/,
  ],
  ['a secret in plain', { environment: { STREAM_SECRET: 'x' } }, /^environment\.STREAM_SECRET: is a secret/],
  [
    'a number as a variable',
    { environment: { QUOTE_LIFESPAN: 5 } },
    /^environment\.QUOTE_LIFESPAN: must be a text/,
  ],
  ['a role that is none', { environmentOf: { frontend: {} } }, /^environmentOf\.frontend: no such role/],
  [
    'a variable of another role',
    { environmentOf: { auth: { ILP_ADDRESS: 'x' } } },
    /auth\.ILP_ADDRESS: it does not read it/,
  ],
  ['a secret that nothing reads', { secrets: { PASSWORD: 'x' } }, /^secrets\.PASSWORD: no role reads/],
  [
    'half an ARN',
    { secrets: { STREAM_SECRET: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:x' } },
    /must be the whole ARN/,
  ],
] as const)
  test(`refused: ${name}`, () => {
    const problems = problemsOf(change)
    assert.ok(
      problems.some((one) => problem.test(one)),
      problems.join('\n') || 'nothing was wrong',
    )
  })

test('an image is of a repository in the tag of this version, or anywhere by its whole name', () => {
  const imagesOf = (images: Json) => parseConfig({ ...example('small'), images }).images
  assert.deepEqual(imagesOf({}).main, { ecrRepository: 'upesi', tag: project.version })
  assert.deepEqual(imagesOf({ main: { tag: '7' } }).main, { ecrRepository: 'upesi', tag: '7' })
  const uri = 'registry.example/upesi@sha256:0'
  assert.deepEqual(imagesOf({ main: { uri } }).main, { uri })
  assert.equal(imagesOf({ main: { uri } }).connector.ecrRepository, 'upesi-connector')
  assert.match(problemsOf({ images: { main: { uri, ecrRepository: 'x' } } }).join(), /either ecrRepository/)
})

test('a worker that SQS hands batches has room for two of them, or for none', () => {
  const problem = /^functions\.each\.webhooks\.reservedConcurrency: SQS hands over two/
  const functions = { each: { webhooks: { reservedConcurrency: 1 } } }
  assert.match(problemsOf({ functions }).join(), problem)
  assert.match(problemsOf({ functions: { defaults: { reservedConcurrency: 1 } } })[0] ?? '', problem)
  assert.deepEqual(problemsOf({ functions, workers: 'containers' }), [])
})

test('functions may be without a limit, or stopped', () => {
  const functions = {
    defaults: { reservedConcurrency: 'none' },
    each: { payments: { reservedConcurrency: 0 } },
  }
  assert.deepEqual(problemsOf({ functions }), [])
})

test('a file that is not there, or is no JSON, is said by its name', () => {
  const missing = new URL('./examples/none.json', import.meta.url)
  assert.throws(() => readConfig(missing), { name: 'Error', message: /none\.json cannot be read: ENOENT/ })
  assert.throws(() => readConfig(new URL(import.meta.url)), ConfigProblems)
})

test('what is wrong is said all at once', () => {
  const problems = problemsOf({ name: '', logDays: 42, front: 'x', secrets: { X: 'y' } })
  assert.ok(problems.length >= 4, problems.join('\n'))
})

test('a variable that a role must have and nobody set stops the synthesis, by its name', () => {
  const { ILP_ADDRESS: _, ...environment } = example('small').environment as Json
  const config = parseConfig({ ...example('small'), environment })
  const secret = { secret: { secretArn: 'arn' } as never }
  const around = {
    resources: { url: 'postgresql://x', directUrl: 'postgresql://x', password: secret },
    auth: { url: 'postgresql://y', directUrl: 'postgresql://y', password: secret },
    secrets: { ADMIN_API_SECRET: secret, STREAM_SECRET: secret },
    keyArn: 'arn',
    queueUrls: {},
    connectorRpcUrl: 'http://connector:3012',
    redisUrl: 'none',
  }
  assert.throws(() => environmentOf('connector', 'container', config, around), /connector needs ILP_ADDRESS/)
})
