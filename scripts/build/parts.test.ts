import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { CRYPTO_OF_PG, inMainThread, withClockAtHand } from './parts.ts'

interface CryptoOfPg {
  randomBytes(length: number): Buffer
  md5(text: string): Promise<string>
  postgresMd5PasswordHash(user: string, password: string, salt: Buffer): Promise<string>
  sha256(bytes: Uint8Array): Promise<ArrayBuffer>
  hashByName(name: string, bytes: Uint8Array): Promise<ArrayBuffer>
  hmacSha256(key: Uint8Array, text: string): Promise<ArrayBuffer>
  deriveKey(password: string, salt: Uint8Array, iterations: number): Promise<ArrayBuffer>
}

const require = createRequire(import.meta.url)
// The package gives it to nobody.
const theirs: CryptoOfPg = require(require.resolve('pg').replace(/pg\/lib\/.*/, 'pg/lib/crypto/utils.js'))

function load(): CryptoOfPg {
  const module = { exports: {} }
  new Function('module', 'require', CRYPTO_OF_PG)(module, require)
  return module.exports as CryptoOfPg
}

test('what a bundle gives pg for SCRAM does what pg’s own does', async () => {
  const ours = load()
  assert.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort())
  const hex = async (bytes: Promise<ArrayBuffer>) => Buffer.from(await bytes).toString('hex')
  for (const password of ['', 'secret', 'pässwörd \u{1F4B6}', 'x'.repeat(300)]) {
    const salt = randomBytes(16)
    const key = randomBytes(32)
    const compare = async (ask: (of: CryptoOfPg) => Promise<ArrayBuffer>) =>
      assert.equal(await hex(ask(ours)), await hex(ask(theirs)))
    await compare((of) => of.deriveKey(password, salt, 4_096))
    await compare((of) => of.hmacSha256(key, password))
    await compare((of) => of.sha256(key))
    for (const name of ['SHA-1', 'SHA-256', 'sha-384', 'SHA-512'])
      await compare((of) => of.hashByName(name, key))
    assert.equal(await ours.md5(password), await theirs.md5(password))
    const hash = (of: CryptoOfPg) => of.postgresMd5PasswordHash('upesi', password, salt)
    assert.equal(await hash(ours), await hash(theirs))
  }
  await assert.rejects(ours.hashByName('MD5', randomBytes(4)))
  assert.equal(ours.randomBytes(18).length, 18)
})

test('the logger of a bundle does not ask for threads, and a logger that asks in another way is noticed', () => {
  const tools = readFileSync(require.resolve('pino').replace(/pino\.js$/, 'lib/tools.js'), 'utf8')
  const ours = inMainThread(tools)
  assert.match(tools, /worker_threads/)
  assert.doesNotMatch(ours, /worker_threads/)
  assert.match(ours, /const isMainThread = true/)
  assert.throws(
    () => inMainThread("const threads = require('worker_threads')"),
    /pino's tools are not as they were/,
  )
})

test('how long an answer took is told by a clock at hand, and logs with another clock are noticed', () => {
  const logs = readFileSync(
    require.resolve('fastify').replace(/fastify\.js$/, 'lib/logger-factory.js'),
    'utf8',
  )
  const ours = withClockAtHand(logs)
  assert.match(logs, /perf_hooks/)
  assert.doesNotMatch(ours, /perf_hooks/)
  const [clock = ''] = /const performance = .*/.exec(ours) ?? []
  const now = new Function(`${clock}; return performance.now`)() as () => number
  // Both count milliseconds from some moment. Whatever comes between two looks lies between Node's own around them.
  const times = () => [performance.now(), now(), performance.now()] as const
  const [before, mine, after] = times()
  while (performance.now() < after + 20);
  const [beforeEnd, mineAtEnd, afterEnd] = times()
  const took = mineAtEnd - mine
  const [least, most] = [beforeEnd - after, afterEnd - before]
  assert.ok(least - 0.1 <= took && took <= most + 0.1, `${least} to ${most}, and ${took}`)
  assert.throws(() => withClockAtHand('const now = Date.now'), /Fastify's logs are not as they were/)
})
