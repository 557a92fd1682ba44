import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { CHECKSUMS_FILE, migrationChecksums, signHmac } from '../../shared/platform/index.ts'
import { createTestDatabase, startTestRedis, type TestDatabase } from '../../shared/testing/index.ts'
import { type Bundle, bundleRole } from './bundle.ts'
import { bundleOfRun, folderOfRun } from './bundles-of-run.ts'
import { findRoles } from './roles.ts'
import { ENTRY_KIB_MAX, loadedBytes, outputNamed } from './sizes.ts'

const run = promisify(execFile)

// The bundles as images and functions have them: built into a folder of their own, run from outside the repository.
const { root, remove } = folderOfRun()
const bundles: Bundle[] = []
before(async () => {
  // One after the other: the bundler uses all processors for each, and keeps each in memory.
  for (const role of findRoles()) bundles.push(await bundleOfRun(role, root))
})
after(remove)

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort()
/** V8's code is no more the same from one time to the next than the addresses that it was made at. */
const filesOfSources = (folder: string): string[] =>
  filesIn(folder).filter((name) => !name.startsWith('compiled/'))
const hashOf = (folder: string): string => {
  const hash = createHash('sha256')
  for (const name of filesOfSources(folder)) hash.update(name).update(readFileSync(join(folder, name)))
  return hash.digest('hex')
}

describe('bundles', () => {
  test('every deployable has one, with its entries', () => {
    const names = bundles.map(({ role }) => role.name)
    for (const name of [
      'admin',
      'auth',
      'auto-peering',
      'connector',
      'migrate',
      'open-payments',
      'payments',
      'webhooks',
    ])
      assert.ok(names.includes(name), name)
    for (const { role, outdir } of bundles)
      for (const entry of role.entries)
        assert.ok(filesIn(outdir).includes(`${entry}.mjs`), `${role.name} ${entry}`)
  })

  test('a function reads little before it can answer', () => {
    for (const { role, metafile } of bundles) {
      const output = outputNamed(metafile, 'lambda.mjs')
      if (output === undefined) continue
      const kib = loadedBytes(metafile, output) / 1024
      assert.ok(kib <= ENTRY_KIB_MAX, `${role.name}: ${kib.toFixed(0)} KiB`)
      assert.ok(kib > 50, 'something was counted')
    }
  })

  test("TigerBeetle's native client is in none, and asked for by the connector alone", () => {
    for (const { role, metafile } of bundles) {
      const inside = Object.keys(metafile.inputs).filter((input) => input.includes('tigerbeetle-node'))
      assert.deepEqual(inside, [], role.name)
      const imported = Object.values(metafile.outputs).flatMap(({ imports }) =>
        imports.map(({ path }) => path),
      )
      assert.equal(imported.includes('tigerbeetle-node'), role.name === 'connector', role.name)
    }
  })

  test('nothing is left to be found elsewhere', () => {
    for (const { role, metafile } of bundles)
      for (const [name, { imports }] of Object.entries(metafile.outputs))
        for (const { path, external } of imports)
          if (external)
            assert.ok(
              path.startsWith('node:') ||
                process.getBuiltinModule(path) !== undefined ||
                role.installed.includes(path),
              `${name} imports ${path}`,
            )
  })

  test('packages of CommonJS that are imported when they are needed are asked for by their one name there', () => {
    const asked = new Set<string>()
    for (const { metafile } of bundles)
      for (const [path, { imports }] of Object.entries(metafile.inputs)) {
        if (path.includes('node_modules/')) continue
        for (const { kind, path: imported, original } of imports) {
          if (kind !== 'dynamic-import' || metafile.inputs[imported]?.format !== 'cjs') continue
          assert.match(
            readFileSync(path, 'utf8'),
            new RegExp(`\\{ default: \\w+ \\} = await import\\('${original}'\\)`),
            `${path}: ${original}`,
          )
          asked.add(String(original))
        }
      }
    assert.ok(asked.has('ioredis') && asked.size > 1, [...asked].join())
  })

  test('parts of packages that nobody asks for are in none', () => {
    // HTTP/2, which no client of ours offers; Postgres by native code; logs by threads; patterns in paths; ranges of versions.
    const unused =
      /client-h2\.js$|\/undici\/lib\/milo\/|\/pg\/lib\/native\/|\/pino\/lib\/(transport|multistream)\.js$|node_modules\/(semver|ret)\//
    for (const { role, metafile } of bundles) {
      const inputs = Object.keys(metafile.inputs)
      assert.deepEqual(
        inputs.filter((input) => unused.test(input) && !/^(unused|parts):/.test(input)),
        [],
        role.name,
      )
    }
  })

  test('a list of its migrations lies beside them, so that a start need not read them', () => {
    const folders = ['shared/migrations', 'shared/ledger/postgres/migrations', 'functions/auth/migrations']
    const lists = bundles.flatMap(({ outdir }) =>
      folders
        .map((folder) => [folder, join(outdir, 'assets', folder, CHECKSUMS_FILE)] as const)
        .filter(([, file]) => existsSync(file)),
    )
    for (const [folder, file] of lists) assert.equal(readFileSync(file, 'utf8'), migrationChecksums(folder))
    assert.deepEqual(new Set(lists.map(([folder]) => folder)), new Set(folders))
  })

  test('the terms of every package go with it', () => {
    for (const { outdir, metafile } of bundles) {
      const text = readFileSync(join(outdir, 'THIRD-PARTY-LICENCES.txt'), 'utf8')
      const packages = new Set(
        Object.keys(metafile.inputs).flatMap(
          (input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? [],
        ),
      )
      for (const name of packages) assert.match(text, new RegExp(`^${name.replace('/', '\\/')} \\d`, 'm'))
      assert.ok(filesIn(outdir).includes('LICENSE'))
    }
  })

  test('the same sources make the same bytes, which name no folder of this machine', async () => {
    const [first] = bundles.filter(({ role }) => role.name === 'auth')
    assert.ok(first)
    // Beside the others: names of chunks depend on how far it is to the sources.
    const again = await mkdtemp(join(dirname(root), 'upesi-build-again-'))
    try {
      const { outdir } = await bundleRole(first.role, again)
      assert.deepEqual(filesIn(outdir), filesIn(first.outdir))
      assert.equal(hashOf(outdir), hashOf(first.outdir))
      // Maps name sources by the way to them, which is short from `dist`.
      for (const name of filesIn(outdir).filter((file) => !file.endsWith('.map')))
        assert.ok(!readFileSync(join(outdir, name), 'utf8').includes(process.cwd()), name)
    } finally {
      await rm(again, { recursive: true, force: true })
    }
  })
})

describe('bundles that run', () => {
  let resources: TestDatabase
  let auth: TestDatabase
  const tenantId = randomUUID()
  const adminSecret = randomBytes(32).toString('base64')
  before(async () => {
    resources = await createTestDatabase('empty')
    auth = await createTestDatabase('empty')
  })
  const children = new Set<ChildProcess>()
  after(async () => {
    for (const child of children) await stop(child)
    await resources.drop()
    await auth.drop()
  })

  const environment = (): Record<string, string> => ({
    PATH: process.env.PATH ?? '',
    ENV_FILE: '/dev/null',
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    DATABASE_URL: resources.connectionString,
    AUTH_DATABASE_URL: auth.connectionString,
    USE_TIGERBEETLE: 'false',
    REDIS_URL: 'none',
    ENABLE_MANUAL_MIGRATIONS: 'true',
    OPERATOR_TENANT_ID: tenantId,
    ADMIN_API_SECRET: adminSecret,
    OPEN_PAYMENTS_URL: 'https://op.example',
    AUTH_SERVER_GRANT_URL: 'https://auth.example',
    AUTH_SERVER_URL: 'https://auth.example',
    AUTH_SERVER_INTROSPECTION_URL: 'http://127.0.0.1:9',
    AUTH_SERVICE_API_URL: 'http://127.0.0.1:9',
    AUTH_SERVICE_API_SECRET: 'service secret',
    IDENTITY_SERVER_URL: 'https://idp.example',
    IDENTITY_SERVER_SECRET: 'idp secret',
    COOKIE_KEY: 'cookie key',
    ILP_ADDRESS: 'test.bank',
    STREAM_SECRET: Buffer.alloc(32, 1).toString('base64'),
    KEY_ID: 'key',
    WEBHOOK_URL: 'http://127.0.0.1:9/',
    ENABLE_AUTO_PEERING: 'true',
    ILP_CONNECTOR_URL: 'https://ilp.example',
    INSTANCE_NAME: 'Bank',
    ...Object.fromEntries(
      [
        'OPEN_PAYMENTS_PORT',
        'AUTH_PORT',
        'INTROSPECTION_PORT',
        'INTERACTION_PORT',
        'SERVICE_API_PORT',
        'ADMIN_PORT',
        'AUTO_PEERING_SERVER_PORT',
        'CONNECTOR_PORT',
        'CONNECTOR_RPC_PORT',
        'METRICS_PORT',
      ].map((name) => [name, '0']),
    ),
  })

  const stop = async (child: ChildProcess): Promise<number | null> => {
    children.delete(child)
    if (child.exitCode !== null) return child.exitCode
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    return await ended
  }

  /** Starts a role's server and gives the ports that it says it listens on. */
  const start = async (
    name: string,
    more: Record<string, string> = {},
  ): Promise<{ child: ChildProcess; ports: Record<string, number> }> => {
    const child = spawn(process.execPath, [join(root, name, 'server.mjs')], {
      cwd: root,
      env: { ...environment(), ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    let output = ''
    return await new Promise((resolve, reject) => {
      const listen = (chunk: Buffer) => {
        output += chunk.toString()
        const line = output.split('\n').find((text) => text.startsWith('{"started"'))
        if (line) resolve({ child, ports: (JSON.parse(line) as { ports: Record<string, number> }).ports })
      }
      child.stdout.on('data', listen)
      child.stderr.on('data', listen)
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code}: ${output}`)))
    })
  }

  test('migrate makes the databases that all others ask for', async () => {
    const { stdout } = await run(process.execPath, [join(root, 'migrate', 'server.mjs')], {
      cwd: root,
      env: environment(),
    })
    const { migrated } = JSON.parse(stdout) as { migrated: Record<string, string[]> }
    assert.deepEqual(Object.keys(migrated).sort(), ['auth', 'ledger', 'resources'])
  })

  const request = async (port: number | undefined, path: string, init: RequestInit = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: answer.status, text: await answer.text() }
  }

  const firstRequests: Record<string, (ports: Record<string, number>) => Promise<void>> = {
    'open-payments': async ({ openPayments }) => {
      const { status, text } = await request(openPayments, '/openapi.json')
      assert.equal(status, 200)
      assert.ok('/incoming-payments' in (JSON.parse(text) as { paths: object }).paths)
      assert.match((await request(openPayments, '/docs')).text, /<html/)
    },
    auth: async ({ auth: port, admin }) => {
      assert.equal((await request(port, '/discovery')).status, 200)
      assert.equal((await request(port, '/openapi.json')).status, 200)
      const refused = await request(port, `/${tenantId}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"client":1}',
      })
      assert.equal(refused.status, 400, 'schemas are compiled')
      assert.equal((await request(admin, '/graphql', { method: 'POST' })).status, 401)
    },
    admin: async ({ admin }) => {
      const body = { query: '{ whoami { id isOperator } }', variables: {} }
      const signature = signHmac({ secret: adminSecret, version: 1, timestampMs: Date.now(), body })
      const { status, text } = await request(admin, '/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'tenant-id': tenantId, signature },
        body: JSON.stringify(body),
      })
      assert.deepEqual(
        [status, JSON.parse(text)],
        [200, { data: { whoami: { id: tenantId, isOperator: true } } }],
      )
    },
    'auto-peering': async ({ autoPeering }) => {
      assert.equal((await request(autoPeering, '/', { method: 'POST' })).status, 400)
    },
    webhooks: async () => undefined,
    payments: async () => undefined,
    connector: async () => undefined,
  }
  for (const [name, ask] of Object.entries(firstRequests))
    test(`${name} starts, is ready, answers and ends when told`, async () => {
      const { child, ports } = await start(name)
      assert.ok(Object.keys(ports).length > 0)
      for (const port of Object.values(ports)) assert.equal((await request(port, '/readyz')).status, 200)
      await ask(ports)
      assert.equal(await stop(child), 0)
    })

  test('they start where there is a Redis, too', async (t) => {
    const redis = await startTestRedis()
    if (!redis) return t.skip('redis-server is not installed')
    try {
      for (const name of ['auth', 'connector', 'payments', 'relay', 'webhooks']) {
        const { child, ports } = await start(name, { REDIS_URL: redis.url, QUEUE_DRIVER: 'redis' })
        for (const port of Object.values(ports))
          assert.equal((await request(port, '/readyz')).status, 200, name)
        assert.equal(await stop(child), 0, name)
      }
    } finally {
      await redis.stop()
    }
  })

  test('functions can be imported before anything is configured', async () => {
    for (const { role, outdir } of bundles.filter(({ role }) => role.entries.includes('lambda'))) {
      const script = `const module = await import(process.argv[1]); console.log(Object.keys(module).join())`
      const { stdout } = await run(
        process.execPath,
        ['--input-type=module', '-e', script, join(outdir, 'lambda.mjs')],
        {
          cwd: root,
          env: { PATH: process.env.PATH },
        },
      )
      const [expected] = Object.entries({ auth: /introspection/, relay: /task/ })
        .filter(([name]) => name === role.name)
        .map(([, exports]) => exports)
      assert.match(stdout, expected ?? /handler/, role.name)
    }
  })
})
