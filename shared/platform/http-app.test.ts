import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createHttpApp, listenOn } from './http-app.ts'
import { silentLogger } from './log.ts'

test('while it closes, a listener finishes what it has and answers what is new with 503', async () => {
  const app = await createHttpApp({ log: silentLogger, cors: true })
  let finish = () => {}
  const mayFinish = new Promise<void>((resolve) => {
    finish = resolve
  })
  let arrived = () => {}
  const hasArrived = new Promise<void>((resolve) => {
    arrived = resolve
  })
  app.get('/slow', async () => {
    arrived()
    await mayFinish
    return { done: true }
  })
  const port = await listenOn(app, 0)

  const socket = connect(port, 'localhost')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  const ended = new Promise((resolve) => socket.once('close', resolve))
  const get = (path: string) => socket.write(`GET ${path} HTTP/1.1\r\nHost: bank.example\r\n\r\n`)
  get('/slow')
  await hasArrived
  const closed = app.close()
  // Closing begins with the next turns of the event loop.
  await sleep(20)
  get('/slow')
  await sleep(20)
  finish()
  await Promise.all([closed, ended])

  const [first, second, ...rest] = text.split(/(?=HTTP\/1\.1 )/)
  assert.match(first ?? '', /^HTTP\/1\.1 200 .*\{"done":true\}$/s)
  assert.match(second ?? '', /^HTTP\/1\.1 503 .*\r\n\r\nService Unavailable$/s)
  const headers = (second ?? '').toLowerCase()
  for (const header of ['connection: close', 'content-type: text/plain', 'access-control-allow-origin: *'])
    assert.ok(headers.includes(header), header)
  assert.deepEqual(rest, [])
})

test('health says whether dependencies are there', async () => {
  let isAway = false
  const app = await createHttpApp({
    log: silentLogger,
    ready: async () => {
      if (isAway) throw new Error('the database is away')
    },
  })
  const statusOf = async (url: string) => (await app.inject({ url })).statusCode
  const paths = ['/healthz', '/readyz', '/livez']
  assert.deepEqual(await Promise.all(paths.map(statusOf)), [200, 200, 200])
  isAway = true
  assert.deepEqual(await Promise.all(paths.map(statusOf)), [500, 503, 200])
  await app.close()
})

test('a path that cannot be decoded is answered as everything is, for browsers too', async () => {
  const app = await createHttpApp({ log: silentLogger, cors: true })
  const answer = await app.inject({ url: '/%zz' })
  assert.equal(answer.statusCode, 400)
  assert.deepEqual(answer.json(), { error: { code: '400', description: 'Bad Request' } })
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  await app.close()
})
