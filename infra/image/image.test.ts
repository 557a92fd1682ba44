import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { bundleOfRun, folderOfRun } from '../../scripts/build/bundles-of-run.ts'
import { findRoles } from '../../scripts/build/roles.ts'
import { choosePort } from '../../shared/loopback-ports/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import { buildBase, createStore, type Store, userOf, withoutBuildah } from './buildah.ts'

const RUNTIME_USER = 10001
const root = dirname(dirname(import.meta.dirname))
const roles = findRoles()
/** A second role beside the one under test is enough to see that each has its own. */
const builtRoles = ['auth', 'connector', 'migrate', 'open-payments', 'webhooks']

let store: Store
let context: string
let ofRun: ReturnType<typeof folderOfRun>
let resources: TestDatabase
let auth: TestDatabase
/** The test server's socket is not in a container's files; its network is the machine's. */
let door: Server

describe('images', { skip: withoutBuildah }, () => {
  before(async () => {
    store = createStore()
    context = mkdtempSync(join(tmpdir(), 'upesi-context-'))
    const copy = (name: string) => {
      mkdirSync(dirname(join(context, name)), { recursive: true })
      cpSync(join(root, name), join(context, name), { recursive: true, dereference: true })
    }
    for (const name of ['.dockerignore', 'infra/image', 'node_modules/tigerbeetle-node']) copy(name)
    ;[resources, auth] = await Promise.all([createTestDatabase('empty'), createTestDatabase('empty')])
    door = await openDoor(resources.connectionString)
    ofRun = folderOfRun()
    const buildRoles = async () => {
      for (const role of roles.filter(({ name }) => builtRoles.includes(name)))
        cpSync((await bundleOfRun(role, ofRun.root)).outdir, join(context, 'dist', role.name), {
          recursive: true,
        })
    }
    await Promise.all([buildBase(store, 'localhost/base'), buildRoles()])
    for (const target of ['functions', 'connector'])
      await store.build({
        file: join(context, 'infra/image/Dockerfile'),
        context,
        target,
        args: { BASE: 'localhost/base', VERSION: '9.8.7', REVISION: 'abcdef' },
        tag: `localhost/${target}`,
      })
  })
  after(async () => {
    store.remove()
    ofRun?.remove()
    door?.close()
    rmSync(context, { recursive: true, force: true })
    await Promise.all([resources?.drop(), auth?.drop()])
  })

  test('both run as a user without rights that is a number, without a shell, and say what they are', () => {
    for (const target of ['functions', 'connector']) {
      const config = store.inspect(`localhost/${target}`)
      assert.equal(config.User, `${RUNTIME_USER}:${RUNTIME_USER}`)
      assert.deepEqual(config.Entrypoint ?? [], [])
      assert.equal(config.Cmd[0], 'node')
      assert.equal(config.Labels['org.opencontainers.image.version'], '9.8.7')
      assert.equal(config.Labels['org.opencontainers.image.revision'], 'abcdef')
      assert.deepEqual(config.Healthcheck?.Test.slice(0, 2), ['CMD', 'node'])
    }
  })

  test('each has its roles, and only the connector has a ledger’s client, of one platform', () => {
    const functions = store.container('localhost/functions').root
    assert.deepEqual(
      readdirSync(join(functions, 'app/dist')).sort(),
      builtRoles.filter((name) => name !== 'connector'),
    )
    assert.deepEqual(readdirSync(join(functions, 'app')), ['dist'])
    const connector = store.container('localhost/connector').root
    assert.deepEqual(readdirSync(join(connector, 'app/dist')), ['connector'])
    assert.deepEqual(readdirSync(join(connector, 'app/node_modules')), ['tigerbeetle-node'])
    assert.deepEqual(readdirSync(join(connector, 'app/node_modules/tigerbeetle-node/dist/bin')), [
      `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
    ])
    for (const role of readdirSync(join(functions, 'app/dist'))) {
      const folder = join(functions, 'app/dist', role)
      const [compiledBy, ...others] = readdirSync(join(folder, 'compiled'))
      assert.match(compiledBy ?? '', new RegExp(`-${process.arch}$`))
      assert.deepEqual(others, [], 'what the build has compiled is not taken along')
      assert.equal(
        readdirSync(join(folder, 'compiled', compiledBy ?? '')).length,
        readdirSync(folder).filter((name) => name.endsWith('.js')).length,
        role,
      )
    }
    assert.deepEqual(
      readdirSync(join(connector, 'app/.compiled')).map((name) => name.split('-').at(-1)),
      [String(RUNTIME_USER)],
    )
    for (const folder of [functions, connector]) {
      const files = readdirSync(join(folder, 'app'), { recursive: true, encoding: 'utf8' })
      assert.deepEqual(
        files.filter((file) => /\.(map|ts)$/.test(file) && !file.endsWith('.d.ts')),
        [],
      )
    }
  })

  test('the ledger’s client loads in the connector’s image', async () => {
    const { id } = store.container('localhost/connector')
    const said = await store.output(id, [
      'node',
      '-e',
      "import('/app/node_modules/tigerbeetle-node/dist/index.js').then((client) => console.log(typeof client.createClient))",
    ])
    assert.equal(said.trim(), 'function')
  })

  test('migrate brings empty databases up to date, out of what the image has', async () => {
    const { id } = store.container('localhost/functions')
    const said = await store.output(id, ['node', 'dist/migrate/server.mjs'], {
      DATABASE_URL: throughDoor(resources),
      AUTH_DATABASE_URL: throughDoor(auth),
      USE_TIGERBEETLE: 'false',
    })
    const { migrated } = JSON.parse(said) as { migrated: Record<string, string[]> }
    for (const database of ['resources', 'ledger', 'auth'])
      assert.ok((migrated[database]?.length ?? 0) > 0, database)
  })

  test('a role runs as that user, is healthy, and ends when it is told', async () => {
    const names = [
      'AUTH_PORT',
      'INTERACTION_PORT',
      'INTROSPECTION_PORT',
      'SERVICE_API_PORT',
      'ADMIN_PORT',
      'METRICS_PORT',
    ]
    const ports = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, String(await choosePort())])),
    )
    await runs('functions', 'auth', ports.AUTH_PORT ?? '', {
      ...ports,
      AUTH_DATABASE_URL: throughDoor(auth),
      AUTH_SERVER_URL: 'https://auth.example',
      IDENTITY_SERVER_URL: 'https://idp.example',
      IDENTITY_SERVER_SECRET: 'idp',
      COOKIE_KEY: 'cookie',
    })
  })

  test('so does the connector', async () => {
    const names = ['CONNECTOR_PORT', 'CONNECTOR_RPC_PORT', 'METRICS_PORT']
    const ports = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, String(await choosePort())])),
    )
    await runs('connector', 'connector', ports.CONNECTOR_RPC_PORT ?? '', {
      ...ports,
      DATABASE_URL: throughDoor(resources),
      USE_TIGERBEETLE: 'false',
      REDIS_URL: 'none',
      KEY_ID: 'node',
      ILP_ADDRESS: 'test.node',
      STREAM_SECRET: Buffer.alloc(32, 1).toString('base64'),
      OPEN_PAYMENTS_URL: 'https://op.example',
      AUTH_SERVER_GRANT_URL: 'https://auth.example',
      WEBHOOK_URL: 'https://wallet.example/webhooks',
      CONNECTOR_SHUTDOWN_NOTICE_MS: '0',
    })
  })
})

async function openDoor(connectionString: string): Promise<Server> {
  const [, folder = ''] = /[?&]host=([^&]+)/.exec(connectionString) ?? []
  const path = join(decodeURIComponent(folder), '.s.PGSQL.5432')
  const server = createServer((outside) => {
    const inside = connect(path)
    outside.pipe(inside).pipe(outside)
    for (const [one, other] of [
      [outside, inside],
      [inside, outside],
    ] as const)
      one.on('error', () => other.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function throughDoor({ connectionString }: TestDatabase): string {
  const [, credentials, name] = /^postgresql:\/\/([^@]*)@\/([^?]*)/.exec(connectionString) ?? []
  return `postgresql://${credentials}@127.0.0.1:${(door.address() as AddressInfo).port}/${name}`
}

/** Starts a role from its image, asks it and the image's health check how it is, and ends it with SIGTERM. */
async function runs(
  target: string,
  role: string,
  port: string,
  environment: Record<string, string>,
): Promise<void> {
  const { id } = store.container(`localhost/${target}`)
  const told = {
    OPERATOR_TENANT_ID: '5f5b4f0e-8c9f-4b8e-9a57-0d7a4f1c6c11',
    ADMIN_API_SECRET: 'operator',
    ENABLE_MANUAL_MIGRATIONS: 'true',
    LOG_LEVEL: 'warn',
    ...environment,
  }
  const child = store.run(id, ['node', `dist/${role}/server.mjs`], told)
  const said = { out: '', errors: '' }
  child.stdout?.on('data', (chunk: Buffer) => {
    said.out += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    said.errors += chunk.toString()
  })
  const exited = once(child, 'exit')
  const started = () => /^\{"started".*"pid":(\d+)/m.exec(said.out)
  let pid: number | undefined
  try {
    await waitFor(() => started() !== null || child.exitCode !== null, 30_000)
    pid = Number(started()?.[1])
    assert.ok(pid > 0, said.errors)
    assert.equal(userOf(pid), RUNTIME_USER)
    await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status === 200)
    const [, ...check] = store.inspect(`localhost/${target}`).Healthcheck?.Test ?? []
    await store.output(id, check, { METRICS_PORT: environment.METRICS_PORT ?? '' })
    process.kill(pid, 'SIGTERM')
    const [code] = (await exited) as [number]
    assert.equal(code, 0, said.errors)
  } finally {
    if (child.exitCode === null) {
      if (pid) process.kill(pid, 'SIGKILL')
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }
  }
}
