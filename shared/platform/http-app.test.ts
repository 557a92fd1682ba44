import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { createHttpApp, listenOn } from './http-app.ts'
import { silentLogger } from './silent-log.ts'

const forwarded = {
  'x-forwarded-for': '203.0.113.1, 198.51.100.7',
  'x-forwarded-host': 'bank.example',
  'x-forwarded-proto': 'https',
}
const sees = async (trustProxy: boolean, headers: Record<string, string>) => {
  const app = await createHttpApp({ log: silentLogger, trustProxy })
  app.get('/', async ({ ip, host, protocol }) => ({ ip, host, protocol }))
  const answer = await app.inject({ url: '/', remoteAddress: '10.0.0.1', headers })
  await app.close()
  return answer.json() as { ip: string; host: string; protocol: string }
}

test('behind a proxy that is trusted, the source is who connected to the proxy, not who the client says it is', async () => {
  assert.deepEqual(await sees(true, forwarded), {
    ip: '198.51.100.7',
    host: 'bank.example',
    protocol: 'https',
  })
  for (const invented of ['203.0.113.9', '203.0.113.9, 203.0.113.10', '198.51.100.8, 203.0.113.9'])
    assert.equal(
      (await sees(true, { ...forwarded, 'x-forwarded-for': `${invented}, 198.51.100.7` })).ip,
      '198.51.100.7',
      invented,
    )
  assert.equal((await sees(true, {})).ip, '10.0.0.1')
})

test('otherwise nobody says anything for anybody', async () => {
  assert.deepEqual(await sees(false, { ...forwarded, host: 'localhost' }), {
    ip: '10.0.0.1',
    host: 'localhost',
    protocol: 'http',
  })
})

test('a path that cannot be decoded is a bad request, in words that do not say what made the server', async () => {
  const app = await createHttpApp({ log: silentLogger })
  const answer = await app.inject({ url: '/%zz' })
  await app.close()
  assert.deepEqual(answer.json(), { error: { code: '400', description: 'Bad Request' } })
  assert.equal(answer.statusCode, 400)
})

/** The answer to bytes, until the other side closes. */
const answerTo = (port: number, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no end: ${text}`)))
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })

test('what proxies may read in two ways is refused', async (t) => {
  const app = await createHttpApp({ log: silentLogger })
  app.post('/', async () => 'taken')
  app.get('/hidden', async () => 'found')
  const port = await listenOn(app, 0, '127.0.0.1')
  t.after(() => app.close())
  const hidden = 'GET /hidden HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n'
  const post = (headers: string) => `POST / HTTP/1.1\r\nConnection: close\r\n${headers}\r\n`
  const cases = {
    'length and chunks': `${post('Host: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n${hidden}`,
    'two lengths': `${post('Host: a.example\r\nContent-Length: 0\r\nContent-Length: 5\r\n')}${hidden}`,
    'a length with a sign': `${post('Host: a.example\r\nContent-Length: +5\r\n')}${hidden}`,
    'chunks that are not the last encoding': `${post('Host: a.example\r\nTransfer-Encoding: chunked, identity\r\n')}${hidden}`,
    'a blank before the colon': post('Host : a.example\r\n'),
    'a folded header': post('Host: a.example\r\nX: a\r\n b\r\n'),
    'ends of lines without CR': `POST / HTTP/1.1\nHost: a.example\n\n`,
    'no host': post(''),
    'two hosts': post('Host: a.example\r\nhost: b.example\r\n'),
    'no HTTP': '\u0016\u0003\u0001\r\n\r\n',
  }
  for (const [name, bytes] of Object.entries(cases)) {
    const answer = await answerTo(port, bytes)
    assert.match(answer, /^HTTP\/1\.1 400 /, name)
    assert.doesNotMatch(answer, /taken|found/, name)
    // Node itself answers for want of a host, without a body.
    if (name !== 'no host')
      assert.ok(answer.endsWith('{"error":{"code":"400","description":"Bad Request"}}'), `${name}: ${answer}`)
  }
  const flood = `GET / HTTP/1.1\r\nHost: a.example\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`
  assert.match(
    await answerTo(port, flood),
    /^HTTP\/1\.1 431 .*"description":"Request Header Fields Too Large"/s,
  )
  assert.match(
    await answerTo(port, post('Host: a.example\r\nContent-Length: 0\r\n')),
    /^HTTP\/1\.1 200 .*taken/s,
  )
})

/** Far less than clients may keep connections (72 s). */
const CLOSES_MS_MAX = 10_000

const closesInTime = async (close: Promise<unknown>, name?: string) => {
  const isClosed = await Promise.race([
    close.then(() => true),
    new Promise<boolean>((resolve) => setTimeout(resolve, CLOSES_MS_MAX, false).unref()),
  ])
  assert.ok(isClosed, name)
}

test('a request under way when the listener closes is answered, and does not keep it open', async (t) => {
  const app = await createHttpApp({ log: silentLogger })
  const asked = Promise.withResolvers<void>()
  const finish = Promise.withResolvers<string>()
  app.get('/slow', () => {
    asked.resolve()
    return finish.promise
  })
  const port = await listenOn(app, 0, '127.0.0.1')
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const answer = once(get({ port, path: '/slow', agent }), 'response')
  await asked.promise
  let isClosed = false
  const closed = app.close().then(() => {
    isClosed = true
  })
  // Longer than what was not sent as a whole is waited for.
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  assert.equal(isClosed, false)
  finish.resolve('done')
  const [response] = await answer
  assert.equal(response.statusCode, 200)
  assert.equal(response.headers.connection, 'close')
  response.resume()
  await closesInTime(closed)
})

test('connections over which no whole request comes do not keep a listener open that closes', async () => {
  const head =
    'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n'
  for (const sent of ['', 'POST / HT', `${head}{`]) {
    const app = await createHttpApp({ log: silentLogger })
    app.post('/', async () => 'taken')
    const port = await listenOn(app, 0, '127.0.0.1')
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    await once(socket, 'connect')
    if (sent !== '') socket.write(sent)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await closesInTime(app.close(), sent)
    socket.destroy()
  }
})

test('what arrives on open connections while it closes is answered, and ends them; probes hear of it', async () => {
  const app = await createHttpApp({ log: silentLogger })
  const held = Promise.withResolvers<string>()
  const begun = Promise.withResolvers<void>()
  app.get('/held', () => {
    begun.resolve()
    return held.promise
  })
  app.post('/work', async () => 'done')
  const inside: Socket[] = []
  app.server.on('connection', (socket: Socket) => inside.push(socket))
  const port = await listenOn(app, 0, '127.0.0.1')
  // Connections that are at something are not closed as idle ones are.
  const outside = ['GET /held', 'POST /work', 'GET /readyz'].map((line) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(`${line} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n`)
    return socket
  })
  const answers = Promise.all(outside.map((socket) => text(socket)))
  while (inside.length < 3 || inside.some(({ bytesRead }) => bytesRead === 0)) await immediate()
  outside[0]?.write('\r\n')
  await begun.promise
  const closed = app.close()
  while (app.server.listening) await immediate()
  for (const socket of outside.slice(1)) socket.write('\r\n')
  held.resolve('held')
  const [first = '', work = '', probe = ''] = await answers
  await closed
  for (const answer of [first, work, probe]) assert.match(answer, /^connection: close\r$/im)
  assert.match(first, /^HTTP\/1.1 200 [\s\S]*held$/)
  assert.match(work, /^HTTP\/1.1 200 [\s\S]*done$/)
  assert.match(probe, /^HTTP\/1.1 503 /)
})

/** Far more than systems hold for a client that does not read. */
const LARGE = 'x'.repeat(32 * 1024 * 1024)

/** A listener whose client has asked for more than it reads, and for more behind that. */
async function startUnread() {
  const app = await createHttpApp({ log: silentLogger })
  const finish = Promise.withResolvers<string>()
  app.get('/large', async () => LARGE)
  app.get('/slow', () => finish.promise)
  const accepted = once(app.server, 'connection') as Promise<[Socket]>
  const client = connect(await listenOn(app, 0, '127.0.0.1'), '127.0.0.1').on('error', () => undefined)
  client.pause()
  const [inside] = await accepted
  return { app, client, finish, inside }
}

test('an answer that is being written when the listener closes is written to its end', async () => {
  const { app, client, inside } = await startUnread()
  client.write('GET /large HTTP/1.1\r\nHost: a.example\r\n\r\n')
  while (inside.writableLength === 0) await immediate()
  const closed = app.close()
  while (app.server.listening) await immediate()
  assert.ok((await text(client)).endsWith(`\r\n\r\n${LARGE}`))
  await closesInTime(closed)
})

test('what is asked for behind another request is answered, too, before its connection ends', async () => {
  const { app, client, finish, inside } = await startUnread()
  client.write('GET /livez HTTP/1.1\r\nHost: a.example\r\n\r\nGET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n')
  while (inside.bytesWritten === 0) await immediate()
  const closed = app.close()
  // Longer than what was not sent as a whole is waited for.
  setTimeout(() => finish.resolve('slow'), 1_500)
  assert.match(await text(client), /\r\n\r\nOKHTTP\/1\.1 200 [\s\S]*connection: close[\s\S]*\r\n\r\nslow$/)
  await closesInTime(closed)
})

for (const [when, path] of [
  ['before the listener closes', '/large'],
  ['while the listener closes', '/slow'],
] as const)
  test(`who does not read an answer that was given ${when} does not keep it open`, async (t) => {
    const { app, client, finish, inside } = await startUnread()
    client.write(`GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`)
    while (path === '/large' ? inside.writableLength === 0 : inside.bytesRead === 0) await immediate()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    let isClosed = false
    const closed = app.close().then(() => {
      isClosed = true
    })
    while (app.server.listening) await immediate()
    finish.resolve(LARGE)
    while (inside.writableLength === 0) await immediate()
    t.mock.timers.tick(9_000)
    for (let turn = 0; turn < 10; turn++) await immediate()
    assert.equal(isClosed, false)
    t.mock.timers.tick(2_000)
    await closed
    client.destroy()
  })
