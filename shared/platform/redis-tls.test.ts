import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startTestRedis, type TestRedis, waitFor } from '../testing/index.ts'
import type { Logger } from './log.ts'
import { connectRedis, type RedisOptions } from './redis.ts'

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
const canRun = (program: string, ...args: string[]) =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0
/** A Redis built without TLS refuses the option; with it, this one ends because it listens nowhere. */
function hasTlsRedis(): boolean {
  const { stdout, stderr } = spawnSync('redis-server', ['--tls-port', '0', '--port', '0'], {
    encoding: 'utf8',
  })
  return !/Bad directive/.test(`${stdout}${stderr}`)
}
const skip =
  canRun('redis-server', '--version') && canRun('openssl', 'version') && hasTlsRedis()
    ? false
    : 'redis-server with TLS, or openssl, is not installed'
if (skip && process.env.CI === 'true' && canRun('apt-get', '--version'))
  throw new Error('CI must install redis-server and openssl')

let folder: string
const servers: TestRedis[] = []

/** A certificate authority, and what it signs: one certificate for 127.0.0.1, good for both ends. */
async function authority(name: string) {
  const file = (kind: string) => join(folder, `${name}-${kind}.pem`)
  const files = { caFile: file('ca'), certFile: file('cert'), keyFile: file('key') }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    file('ca-key'),
    '-out',
    files.caFile,
    '-subj',
    `/CN=CA ${name}`,
    '-days',
    '2',
  )
  openssl('req', ...key, '-keyout', files.keyFile, '-out', file('request'), '-subj', `/CN=${name}`)
  await writeFile(file('names'), 'subjectAltName=IP:127.0.0.1\n')
  const signing = [
    '-CA',
    files.caFile,
    '-CAkey',
    file('ca-key'),
    '-CAcreateserial',
    '-extfile',
    file('names'),
  ]
  openssl('x509', '-req', '-in', file('request'), ...signing, '-out', files.certFile, '-days', '2')
  return files
}
type Authority = Awaited<ReturnType<typeof authority>>

/** What became of a connection: an answer, or why there is none. */
async function outcome(options: Omit<RedisOptions, 'log'>): Promise<string> {
  const reasons: string[] = []
  const log = {
    warn: (details: { reason: string }) => reasons.push(details.reason),
    info: () => undefined,
  } as unknown as Logger
  const redis = await connectRedis({ ...options, log })
  try {
    return await waitFor(async () => {
      if (reasons.length > 0) return reasons.join()
      return await redis.ping().catch(() => undefined)
    })
  } finally {
    redis.disconnect()
  }
}

describe('A20: TLS to Redis', { skip }, () => {
  let ours: Authority
  let others: Authority
  let open: TestRedis
  let closed: TestRedis
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'upesi-redis-'))
    ours = await authority('ours')
    others = await authority('others')
    for (const asksClients of [false, true]) {
      const server = await startTestRedis({ ...ours, asksClients })
      assert.ok(server)
      servers.push(server)
    }
    ;[open, closed] = servers as [TestRedis, TestRedis]
  })
  after(async () => {
    for (const server of servers) await server.stop()
    await rm(folder, { recursive: true })
  })

  test('a server with a certificate of the given CA is talked to', async () => {
    assert.equal(await outcome({ url: open.url, caFile: ours.caFile }), 'PONG')
  })
  test('a CA alone turns TLS on', async () => {
    assert.equal(await outcome({ url: open.url.replace('rediss:', 'redis:'), caFile: ours.caFile }), 'PONG')
  })
  test('a server of another CA is not, whatever CA is given', async () => {
    assert.match(await outcome({ url: open.url, caFile: others.caFile }), /certificate/)
    assert.match(await outcome({ url: open.url }), /certificate/)
  })
  test('nor is one whose certificate has another name', async () => {
    const url = open.url.replace('127.0.0.1', 'localhost')
    assert.match(await outcome({ url, caFile: ours.caFile }), /Hostname|altnames/)
  })
  test('a client shows its certificate', async () => {
    const { caFile, certFile, keyFile } = ours
    assert.equal(await outcome({ url: closed.url, caFile, certFile, keyFile }), 'PONG')
    assert.notEqual(await outcome({ url: closed.url, caFile }), 'PONG')
    const { certFile: strange, keyFile: strangeKey } = others
    assert.notEqual(
      await outcome({ url: closed.url, caFile, certFile: strange, keyFile: strangeKey }),
      'PONG',
    )
  })
  test('files that cannot be read stop the start', async () => {
    await assert.rejects(outcome({ url: open.url, caFile: join(folder, 'absent.pem') }), /ENOENT/)
  })
})
