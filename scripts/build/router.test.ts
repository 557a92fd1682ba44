import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { quickToStart, routerQuickToStart } from './router.ts'

type Handler = () => void
interface Found {
  handler: Handler
  params: Record<string, string>
}
interface Router {
  on(method: string, path: string, options: { constraints?: Record<string, string> }, handler: Handler): void
  find(method: string, path: string, constraints?: Record<string, string>): Found | null
}
type CreateRouter = (options?: object) => Router

const require = createRequire(import.meta.url)
const theirs = createRequire(require.resolve('fastify'))('find-my-way') as CreateRouter
const theirFile = (name: string) =>
  createRequire(require.resolve('fastify')).resolve(
    `find-my-way/${name === 'index.js' ? name : `lib/${name}`}`,
  )
let folder: string
let ours: CreateRouter
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upesi-router-'))
  const outfile = join(folder, 'router.cjs')
  await build({
    entryPoints: [createRequire(require.resolve('fastify')).resolve('find-my-way')],
    outfile,
    bundle: true,
    platform: 'node',
    plugins: [routerQuickToStart()],
    logLevel: 'error',
  })
  ours = require(outfile) as CreateRouter
})
after(() => rm(folder, { recursive: true, force: true }))

const ROUTES = [
  '/',
  '/a',
  '/ab',
  '/incoming-payments',
  '/incoming-payments/:id',
  '/incoming-payments/:id/complete',
  '/:tenantId/quotes',
  '/:tenantId/quotes/:id',
  '/:one/:two/:three/:four/:five/:six',
  '/files/*',
  '/*',
]
const PATHS = [
  ...ROUTES,
  '/ac',
  '/abc',
  '/incoming-payment',
  '/incoming-paymentS',
  '/incoming-payments/1/completed',
  '/t/quotes/%C3%A9?first=1',
  '/1/2/3/4/5/6',
  '/1/2/3/4/5/6/7',
  '/files/a/b',
  '',
]

test('the router of a bundle finds what it finds when everything is compiled at once', () => {
  const routers = [theirs(), ours()] as const
  const handlers = new Map<string, Handler>()
  const add = (path: string, constraints?: Record<string, string>) => {
    const handler = () => undefined
    handlers.set(`${path} ${JSON.stringify(constraints)}`, handler)
    for (const router of routers) router.on('GET', path, { ...(constraints && { constraints }) }, handler)
  }
  const compare = (path: string, constraints?: Record<string, string>) => {
    const [expected, found] = routers.map((router) => router.find('GET', path, constraints))
    assert.equal(found?.handler, expected?.handler, path)
    assert.deepEqual({ ...found?.params }, { ...expected?.params }, path)
    return found
  }
  for (const path of ROUTES) add(path)
  let found = 0
  // Twice: what a first call has compiled serves the second.
  for (const path of [...PATHS, ...PATHS]) if (compare(path)) found++
  assert.ok(found > PATHS.length)

  for (const host of ['one.example', 'two.example']) add('/incoming-payments/:id', { host })
  for (const host of ['one.example', 'two.example', 'three.example'])
    for (const path of [...PATHS, ...PATHS]) compare(path, { host })
  add('/incoming-payments/:id', { host: 'three.example' })
  assert.equal(
    compare('/incoming-payments/7', { host: 'three.example' })?.handler,
    handlers.get('/incoming-payments/:id {"host":"three.example"}'),
  )
})

test('a router that compiles in another way is noticed', async () => {
  for (const name of ['index.js', 'node.js', 'handler-storage.js']) {
    const source = await readFile(theirFile(name), 'utf8')
    assert.notEqual(quickToStart(name, source), source)
    assert.throws(
      () => quickToStart(name, source.replaceAll(/new Function|this\._|isRegexSafe/g, 'x')),
      /not as it was/,
    )
  }
})
