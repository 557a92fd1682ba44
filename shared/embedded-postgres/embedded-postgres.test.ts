import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import pg from 'pg'
import { Fault } from '../platform/index.ts'
import { type EmbeddedPostgres, FolderInUse, startEmbeddedPostgres, startTemporaryPostgres } from './index.ts'
import { isAlive } from './processes.ts'

const root = mkdtempSync(join(tmpdir(), 'upesi-embedded-test-'))
// Started by root, PostgreSQL runs as another user, and finds its way here only if the folder lets it.
chmodSync(root, 0o755)
const folder = join(root, 'bank')
const running: EmbeddedPostgres[] = []

after(async () => {
  for (const server of running) await server.stop().catch(() => undefined)
  rmSync(root, { recursive: true, force: true })
})

const start = async (options: { shared?: boolean } = {}): Promise<EmbeddedPostgres> => {
  const server = await startEmbeddedPostgres({ folder, durable: false, ...options })
  running.push(server)
  return server
}

async function query(server: EmbeddedPostgres, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: server.connectionString('postgres') })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows[0] && Object.values(rows[0])[0]
  } finally {
    await client.end()
  }
}

/** Another process that owns the folder until it is killed. */
async function startElsewhere(): Promise<{ child: ChildProcess; pid: number }> {
  const code = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(import.meta.resolve('./index.ts'))})
    const server = await startEmbeddedPostgres({ folder: process.env.FOLDER, durable: false })
    console.log(server.pid)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    env: { FOLDER: folder, PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, pid: Number(line.toString()) }
}

test('the first start makes a server of the right kind, reachable by its socket and password only', async () => {
  const server = await start()
  assert.equal(server.adopted, false)
  assert.equal(await query(server, 'show server_encoding'), 'UTF8')
  assert.equal(
    await query(
      server,
      "select datlocprovider::text || ' ' || datlocale from pg_database where datname = 'postgres'",
    ),
    'b C.UTF-8',
  )
  assert.equal(await query(server, 'show listen_addresses'), '')
  assert.equal(await query(server, 'show max_connections'), '1000')
  assert.equal(await query(server, 'show fsync'), 'off')
  assert.equal(await query(server, 'show timezone'), 'UTC')
  assert.equal(statSync(join(folder, 'password')).mode & 0o777, 0o600)

  const client = new pg.Client({
    connectionString: server.connectionString('postgres').replace(/:[0-9a-f]+@/, ':wrong@'),
  })
  client.on('error', () => undefined)
  await assert.rejects(client.connect(), /password authentication failed/)
  assert.equal(await server.createDatabase('resources'), true)
  assert.equal(await server.createDatabase('resources'), false)
  await assert.rejects(server.createDatabase('no"name'), TypeError)
  if (process.getuid?.() === 0)
    assert.notEqual(statSync(server.dataFolder).uid, 0, 'PostgreSQL does not run as root')
  await server.stop()
  assert.equal(isAlive(server.pid), false)
})

const notRoot = process.getuid?.() !== 0 && 'only root lends the server another user'
test(
  'below a private folder of root the data lives elsewhere, is found again, and goes with the folder',
  { skip: notRoot },
  async () => {
    const hidden = join(root, 'private')
    mkdirSync(hidden, { mode: 0o700 })
    const open = async () => {
      const server = await startEmbeddedPostgres({ folder: join(hidden, 'bank'), durable: false })
      running.push(server)
      return server
    }
    const first = await open()
    assert.equal(first.dataFolder.startsWith(hidden), false)
    await query(first, 'create table kept (n int)')
    await first.stop()
    const second = await open()
    assert.equal(second.dataFolder, first.dataFolder)
    assert.equal(await query(second, 'select count(*)::int from kept'), 0)
    await second.stop()

    rmSync(join(hidden, 'bank'), { recursive: true })
    const third = await open()
    try {
      assert.equal(await query(third, "select to_regclass('kept')"), null)
      assert.equal(existsSync(first.dataFolder), false)
    } finally {
      await third.stop()
      rmSync(dirname(third.dataFolder), { recursive: true, force: true })
    }
  },
)

test('a temp folder that cannot be used is passed over', async () => {
  const usual = process.env.TMPDIR
  const narrow = join(root, 'narrow')
  mkdirSync(narrow, { mode: 0o700 })
  try {
    for (const unusable of [join(root, 'absent'), ...(process.getuid?.() === 0 ? [narrow] : [])]) {
      process.env.TMPDIR = unusable
      const fresh = join(root, `temp-${unusable === narrow ? 'narrow' : 'absent'}`)
      const server = await startEmbeddedPostgres({ folder: fresh, durable: false })
      running.push(server)
      assert.equal(await query(server, 'select 1'), 1)
      await server.stop()
    }
  } finally {
    if (usual === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = usual
  }
})

test('a temporary server leaves nothing behind', async () => {
  const server = await startTemporaryPostgres()
  assert.equal(await query(server, 'show fsync'), 'on')
  await server.stop()
  assert.equal(existsSync(server.dataFolder), false)
})

test('data outlives a stop, and the socket folder does not', async () => {
  const first = await start()
  await query(first, 'create table kept (n int)')
  const socket = new URL(first.connectionString('x').replace('@/', '@host/')).searchParams.get('host') ?? ''
  assert.ok(existsSync(socket))
  assert.equal(statSync(socket).mode & 0o777, 0o700)
  await first.stop()
  assert.equal(existsSync(socket), false)
  const second = await start()
  assert.equal(await query(second, 'select count(*)::int from kept'), 0)
  await second.stop()
})

test('a folder has one owner: a second start is refused and the first goes on', async () => {
  const first = await start()
  await assert.rejects(start(), (error) => error instanceof FolderInUse && error.pid === process.pid)
  assert.equal(await query(first, 'select 1'), 1)
  await first.stop()
  await (await start()).stop()
})

test('another process is refused as well; killed, it leaves a server that is adopted and can be stopped', async () => {
  const { child, pid } = await startElsewhere()
  try {
    await assert.rejects(start(), (error) => error instanceof FolderInUse && error.pid === child.pid)
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    assert.ok(isAlive(pid))
    const adopted = await start()
    assert.equal(adopted.adopted, true)
    assert.equal(adopted.pid, pid)
    assert.equal(await query(adopted, 'select 1'), 1)
    await adopted.stop()
    assert.equal(isAlive(pid), false)
  } finally {
    child.kill('SIGKILL')
  }
})

test('after process and server were both killed, a start right away succeeds with the data', async () => {
  const { child, pid } = await startElsewhere()
  const exited = once(child, 'exit')
  process.kill(pid, 'SIGKILL')
  child.kill('SIGKILL')
  await exited
  const server = await start()
  assert.equal(server.adopted, false)
  assert.equal(await query(server, 'select count(*)::int from kept'), 0)
  await server.stop()
})

test('a pid file with the number of some other process does not stop a start', async () => {
  const first = await start()
  const pidFile = join(first.dataFolder, 'postmaster.pid')
  const text = readFileSync(pidFile, 'utf8')
  await first.stop()
  writeFileSync(pidFile, text.replace(/^\d+/, String(process.pid)))
  const second = await start()
  assert.equal(second.adopted, false)
  await second.stop()
})

test('data that was copied from under a running server starts without harm to that server', async () => {
  const server = await start()
  const startCopy = async () => {
    const copy = await startEmbeddedPostgres({ folder: join(root, 'copy'), durable: false })
    running.push(copy)
    return copy
  }
  const { dataFolder, stop } = await startCopy()
  await stop()
  writeFileSync(join(dataFolder, 'postmaster.pid'), readFileSync(join(server.dataFolder, 'postmaster.pid')))
  const copy = await startCopy()
  assert.equal(copy.adopted, false)
  for (const each of [server, copy]) {
    assert.equal(await query(each, 'select 1'), 1)
    await each.stop()
  }
})

test('those who share a folder use one server, started by whoever came first', async () => {
  const servers = await Promise.all([
    start({ shared: true }),
    start({ shared: true }),
    start({ shared: true }),
  ])
  assert.equal(new Set(servers.map(({ pid }) => pid)).size, 1)
  assert.equal(servers.filter(({ adopted }) => !adopted).length, 1)
  await servers[0]?.stop()
})

const noProc = !existsSync('/proc/self/environ') && 'this system does not show environments'
test('the environment of the caller does not reach the server', { skip: noProc }, async () => {
  process.env.PGOPTIONS = '-c search_path=nowhere'
  process.env.PGDATA = '/nowhere'
  try {
    const server = await start()
    assert.match(readFileSync(`/proc/${server.pid}/environ`, 'utf8'), /LC_ALL=C/)
    assert.doesNotMatch(readFileSync(`/proc/${server.pid}/environ`, 'utf8'), /nowhere/)
    await server.stop()
  } finally {
    delete process.env.PGOPTIONS
    delete process.env.PGDATA
  }
})

test('a failed start says what PostgreSQL said, and frees the folder', async () => {
  const first = await start()
  await first.stop()
  const conf = join(first.dataFolder, 'postgresql.conf')
  const text = readFileSync(conf, 'utf8')
  writeFileSync(conf, `${text}\nno_such_setting = 1\n`)
  await assert.rejects(start(), (error) => error instanceof Fault && /no_such_setting/.test(error.message))
  writeFileSync(conf, text)
  await (await start()).stop()
})
