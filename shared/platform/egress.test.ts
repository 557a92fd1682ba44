import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { createEgressPolicy, isPublicAddress } from './egress.ts'
import { createGuardedHttp, type GuardedHttpOptions } from './egress-http.ts'
import { Fault } from './errors.ts'
import type { HttpClient } from './http-client.ts'

const closers: (() => Promise<unknown> | unknown)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

const serve = async (listener: RequestListener): Promise<{ port: number; server: Server }> => {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, server }
}

const guarded = (options: Partial<GuardedHttpOptions> = {}): HttpClient => {
  const http = createGuardedHttp({ allow: [], allowHttp: false, ...options })
  closers.push(() => http.close())
  return http
}

const get = (http: HttpClient, url: string, more: object = {}) =>
  http.request({ method: 'GET', url, timeoutMs: 2_000, ...more })

const isFault = (code: string) => (error: unknown) => {
  assert.ok(error instanceof Fault, String(error))
  assert.equal(error.code, code, error.message)
  return true
}

// Every spelling must be refused before a connection is tried.
const forbidden = `
http://example.com/                  http://93.184.216.34/              ftp://example.com/
file:///etc/passwd                   gopher://example.com/              data:text/plain,x
javascript:alert(1)                  ws://example.com/                  blob:https://example.com/x
//example.com/                       example.com                        https://
https:///                            https://?                          https://#
https://user@example.com/            https://user:pw@example.com/       https://:pw@example.com/
https://example.com@127.0.0.1/       https://127.0.0.1@example.com/     https://example.com%40127.0.0.1/
https://127.0.0.1/                   https://127.0.0.1./                https://127.0.0.1:8443/
https://127.1/                       https://127.0.1/                   https://127.255.255.254/
https://2130706433/                  https://0x7f000001/                https://0x7f.0x0.0x0.0x1/
https://0x7f.1/                      https://0177.0.0.1/                https://0177.0.0.01/
https://017700000001/                https://0x7F.0.0.1/                https://127.0x1/
https://127.0.0.1%2f@x.example/      https://①②⑦.0.0.1/                 https://127。0。0。1/
https://127．0．0．1/                https://0/                          https://0.0.0.0/
https://0.1.2.3/                     https://00.00.00.00/               https://10.0.0.1/
https://10.255.255.255/              https://167772161/                 https://0xa000001/
https://012.0.0.1/                   https://172.16.0.1/                https://172.31.255.255/
https://2886729729/                  https://192.168.0.1/               https://192.168.1/
https://3232235521/                  https://0xc0a80001/                https://169.254.169.254/
https://169.254.169.254./            https://2852039166/                https://0xa9fea9fe/
https://0251.0376.0251.0376/         https://169.254.43518/             https://169.0xfea9fe/
https://100.64.0.1/                  https://100.127.255.255/           https://100.100.100.200/
https://192.0.0.1/                   https://192.0.0.192/               https://192.0.2.1/
https://192.31.196.1/                https://192.52.193.1/              https://192.88.99.1/
https://192.175.48.1/                https://198.18.0.1/                https://198.19.255.255/
https://198.51.100.1/                https://203.0.113.1/               https://224.0.0.1/
https://239.255.255.255/             https://240.0.0.1/                 https://255.255.255.255/
https://4294967295/                  https://[::]/                      https://[::1]/
https://[0:0:0:0:0:0:0:1]/           https://[0000::0001]:443/          https://[::127.0.0.1]/
https://[::7f00:1]/                  https://[::ffff:127.0.0.1]/        https://[::ffff:7f00:1]/
https://[::FFFF:7F00:0001]/          https://[::ffff:10.0.0.1]/         https://[::ffff:169.254.169.254]/
https://[::ffff:93.184.216.34]/      https://[::ffff:0:127.0.0.1]/      https://[64:ff9b::127.0.0.1]/
https://[64:ff9b::a9fe:a9fe]/        https://[64:ff9b::5db8:d822]/      https://[64:ff9b:1::a00:1]/
https://[2002:7f00:1::]/             https://[2002:a00:1::1]/           https://[2002:5db8:d822::1]/
https://[2001::7f00:1]/              https://[2001:0:4136:e378::1]/     https://[2001:2::1]/
https://[2001:3::1]/                 https://[2001:4:112::1]/           https://[2001:10::1]/
https://[2001:20::1]/                https://[2001:30::1]/              https://[2001:db8::1]/
https://[2620:4f:8000::1]/           https://[3fff::1]/                 https://[5f00::1]/
https://[100::1]/                    https://[fc00::1]/                 https://[fd00:ec2::254]/
https://[fdff:ffff::1]/              https://[fe80::1]/                 https://[febf::1]/
https://[fec0::1]/                   https://[ff02::1]/                 https://[ff0e::1]/
https://[4000::1]/                   https://[e000::1]/                 https://[::1%25lo]/
https://[::1                         https://10.2.3/                    https://1.2.3.4.5/
https://256.1.1.1/                   https://1.1.1.0x1ff/               https://exa mple.com/
https://example.com:99999/           https://example.com:-1/            https://xn--/
`
  .split(/\s{2,}|\n/)
  .map((text) => text.trim())
  .filter((text) => text !== '')

describe('targets that are never fetched', () => {
  test('the table is long enough to mean something', () => assert.ok(forbidden.length >= 120))

  // Broken names that survive URL parsing reach this resolver, and are refused for what it answers.
  const http = guarded({ resolve: async () => [{ address: '127.0.0.1', family: 4 }] })
  for (const url of forbidden) test(url, () => assert.rejects(get(http, url), isFault('egress_denied')))
})

test('names that resolve to forbidden addresses are refused, whichever of the addresses it is', async () => {
  const answers: Record<string, string[]> = {
    'metadata.google.internal': ['169.254.169.254'],
    'localtest.example': ['127.0.0.1'],
    'mixed.example': ['93.184.216.34', '10.0.0.1'],
    'mixed6.example': ['2606:2800:220:1::1', '::1'],
    'mapped.example': ['::ffff:10.0.0.1'],
    'nat64.example': ['64:ff9b::a00:1'],
    'zoned.example': ['fe80::1%lo'],
    'garbage.example': ['not an address'],
    'dotted.example.': ['10.0.0.1'],
  }
  const asked: string[] = []
  const http = guarded({
    resolve: async (hostname) => {
      asked.push(hostname)
      return (answers[hostname] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    },
  })
  for (const name of Object.keys(answers))
    await assert.rejects(get(http, `https://${name}/`), isFault('egress_denied'), name)
  assert.deepEqual(asked, Object.keys(answers), 'each name was resolved once')
  await assert.rejects(get(http, 'https://unknown.example/'), isFault('connection_failed'))
})

test('public addresses pass the rule', () => {
  for (const address of [
    '1.1.1.1',
    '8.8.8.8',
    '93.184.216.34',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ])
    assert.equal(isPublicAddress(address), true, address)
  for (const address of ['', 'x', '127.0.0.1', '1.1.1', '::ffff:1.1.1.1', '64:ff9b::1.1.1.1'])
    assert.equal(isPublicAddress(address), false, address)
})

describe('what EGRESS_ALLOW exempts', () => {
  const policy = createEgressPolicy({
    allow: ['localhost', '127.0.0.0/8', '::1', '10.1.0.0/16', 'fd00:1::/32', 'Wallet.Internal'],
    allowHttp: true,
  })
  const accepted: [string, string][] = [
    ['https://localhost:3000/a?b=c#d', 'http://localhost:3000/a?b=c'],
    ['https://LOCALHOST/', 'http://localhost/'],
    ['https://localhost./', 'http://localhost./'],
    ['https://127.0.0.1:99/x', 'http://127.0.0.1:99/x'],
    ['https://[::1]:99/', 'http://[::1]:99/'],
    ['https://wallet.internal/', 'http://wallet.internal/'],
    ['http://localhost:1/', 'http://localhost:1/'],
    ['https://10.1.2.3/', 'http://10.1.2.3/'],
    ['https://[fd00:1::7]/', 'http://[fd00:1::7]/'],
    ['https://example.com/', 'https://example.com/'],
  ]
  for (const [url, effective] of accepted)
    test(url, () => {
      assert.equal(policy.toFetch(url).href, effective)
      assert.equal(policy.effectiveUrl(url), effective)
    })
  for (const url of [
    'https://10.2.0.1/',
    'https://[::ffff:127.0.0.1]/',
    'http://example.com/',
    'https://[fd00:2::1]/',
    'https://a@localhost/',
    'ftp://localhost/',
  ])
    test(`not ${url}`, () => assert.throws(() => policy.toFetch(url), isFault('egress_denied')))
  test('without EGRESS_ALLOW_HTTP https stays https', () => {
    const strict = createEgressPolicy({ allow: ['localhost'], allowHttp: false })
    assert.equal(strict.toFetch('https://localhost/').href, 'https://localhost/')
    assert.throws(() => strict.toFetch('http://localhost/'), isFault('egress_denied'))
  })
  test('malformed entries are named at start', () => {
    for (const entry of ['10.0.0.0/33', 'a/b', 'https://x', 'x:1'])
      assert.throws(() => createEgressPolicy({ allow: [entry], allowHttp: false }), /EGRESS_ALLOW/)
  })
})

describe('rebinding', () => {
  test('a second answer of the resolver is not asked for: the socket goes where the check looked', async () => {
    const seen: string[] = []
    const tcp = createTcpServer((socket) => {
      seen.push(String(socket.localAddress))
      socket.destroy()
    })
    await new Promise<void>((resolve) => tcp.listen(0, '0.0.0.0', resolve))
    closers.push(() => tcp.close())
    const { port } = tcp.address() as AddressInfo
    const answers = ['127.0.0.1', '127.0.0.2']
    let asked = 0
    const http = guarded({
      allow: ['127.0.0.1'],
      resolve: async () => [{ address: answers[asked++] ?? '127.0.0.3', family: 4 }],
    })
    await assert.rejects(get(http, `https://rebind.example:${port}/`), isFault('connection_failed'))
    assert.deepEqual([asked, seen], [1, ['127.0.0.1']])
    await assert.rejects(get(http, `https://rebind.example:${port}/`), isFault('egress_denied'))
    assert.deepEqual([asked, seen], [2, ['127.0.0.1']])
  })

  test('kept connections stay at the checked address, new ones are checked anew', async () => {
    const { port, server } = await serve((_request, response) => response.end('ok'))
    let connections = 0
    server.on('connection', () => connections++)
    let asked = 0
    const http = guarded({
      allow: ['wallet.example'],
      allowHttp: true,
      resolve: async () => {
        asked++
        return [{ address: '127.0.0.1', family: 4 }]
      },
    })
    for (let round = 0; round < 5; round++)
      assert.equal((await get(http, `https://wallet.example:${port}/`)).status, 200)
    const opened = connections
    assert.ok(opened < 5, `${opened} connections for 5 requests`)
    assert.equal(asked, opened)
    server.closeAllConnections()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await get(http, `https://wallet.example:${port}/`)
    assert.deepEqual([connections, asked], [opened + 1, opened + 1])
  })
})

describe('https', () => {
  // A self-signed certificate for wallet.example, made for this test and trusted by this process only.
  const file = (name: string) =>
    readFileSync(new URL(`./fixtures/wallet-example.${name}.pem`, import.meta.url))
  const start = async () => {
    const server = createTlsServer({ key: file('key'), cert: file('cert') }, (request, response) =>
      response.end(`hello ${request.headers.host}`),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }
  const http = guarded({
    allow: ['127.0.0.1'],
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
  })
  const trusted = getCACertificates('default')
  before(() => setDefaultCACertificates([...trusted, file('cert').toString()]))
  after(() => setDefaultCACertificates(trusted))

  test('the certificate is checked against the name, the connection goes to the checked address', async () => {
    const port = await start()
    const response = await get(http, `https://wallet.example:${port}/`)
    assert.equal(response.body.toString(), `hello wallet.example:${port}`)
  })
  test('a certificate for another name is refused', async () => {
    const port = await start()
    await assert.rejects(get(http, `https://other.example:${port}/`), isFault('connection_failed'))
    await assert.rejects(get(http, `https://127.0.0.1:${port}/`), isFault('connection_failed'))
  })
})

describe('redirects', () => {
  const start = async () => {
    const hits: string[] = []
    const { port } = await serve((request, response) => {
      hits.push(request.url ?? '')
      const url = new URL(request.url ?? '/', 'http://x')
      const to = url.searchParams.get('to')
      const left = Number(url.searchParams.get('left') ?? 0)
      if (to !== null) response.writeHead(302, { location: to }).end()
      else if (left > 0) response.writeHead(307, { location: `/?left=${left - 1}` }).end('moved')
      else response.end('arrived')
    })
    return {
      base: `https://localhost:${port}`,
      hits,
      http: guarded({ allow: ['localhost'], allowHttp: true }),
    }
  }

  test('are answers unless asked for', async () => {
    const { base, http, hits } = await start()
    assert.equal((await get(http, `${base}/?left=1`)).status, 307)
    assert.equal(hits.length, 1)
  })
  test('are followed up to the limit', async () => {
    const { base, http } = await start()
    assert.equal((await get(http, `${base}/?left=3`, { redirectsMax: 3 })).body.toString(), 'arrived')
    await assert.rejects(get(http, `${base}/?left=4`, { redirectsMax: 3 }), isFault('too_many_redirects'))
  })
  for (const to of [
    'https://169.254.169.254/latest/meta-data/',
    'https://10.0.0.1/',
    'https://[::ffff:127.0.0.1]/',
    'http://example.com/',
    'file:///etc/passwd',
    'https://u:p@localhost/',
    'https://2130706433/',
  ])
    test(`each hop is judged: ${to}`, async () => {
      const { base, http } = await start()
      await assert.rejects(
        get(http, `${base}/?to=${encodeURIComponent(to)}`, { redirectsMax: 3 }),
        isFault('egress_denied'),
      )
    })
  test('never for signed or changing requests', async () => {
    const { base, http } = await start()
    const headers = { Signature: 'sig1=:AA==:' }
    await assert.rejects(get(http, base, { redirectsMax: 1, headers }), /unsigned GETs/)
    await assert.rejects(get(http, base, { redirectsMax: 1, method: 'POST' }), /unsigned GETs/)
  })
})

describe('limits', () => {
  const http = guarded({ allow: ['localhost'], allowHttp: true })

  test('a body that drips is cut at the deadline', async () => {
    const { port } = await serve((_request, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(timer))
    })
    const started = performance.now()
    await assert.rejects(
      get(http, `https://localhost:${port}/`, { timeoutMs: 200 }),
      isFault('request_timeout'),
    )
    assert.ok(performance.now() - started < 1_000)
  })
  test('headers that never come', async () => {
    const { port } = await serve(() => undefined)
    await assert.rejects(
      get(http, `https://localhost:${port}/`, { timeoutMs: 100 }),
      isFault('request_timeout'),
    )
  })
  test('a resolver that never answers', async () => {
    const stuck = guarded({ resolve: () => new Promise(() => undefined) })
    const started = performance.now()
    await assert.rejects(get(stuck, 'https://x.example/', { timeoutMs: 100 }), isFault('request_timeout'))
    assert.ok(performance.now() - started < 1_000)
  })
  test('the deadline is one for all hops', async () => {
    const { port } = await serve((request, response) => {
      setTimeout(() => response.writeHead(302, { location: `${request.url}x` }).end(), 80)
    })
    const started = performance.now()
    await assert.rejects(
      get(http, `https://localhost:${port}/`, { timeoutMs: 200, redirectsMax: 50 }),
      isFault('request_timeout'),
    )
    assert.ok(performance.now() - started < 1_000)
  })
  test('oversize, announced or not', async () => {
    const { port } = await serve((request, response) => {
      const body = Buffer.alloc(70_000, 'x')
      if (request.url === '/announced') response.setHeader('content-length', body.length)
      response.end(body)
    })
    for (const path of ['/announced', '/streamed'])
      await assert.rejects(get(http, `https://localhost:${port}${path}`), isFault('response_too_large'))
  })
  test('compressed bodies are never inflated', async () => {
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024))
    const { port } = await serve((request, response) => {
      assert.equal(request.headers['accept-encoding'], undefined)
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    })
    const response = await get(http, `https://localhost:${port}/`)
    assert.deepEqual(response.body, bomb)
  })
  test('a header bomb is a failed connection', async () => {
    const { port } = await serve((_request, response) => {
      for (let index = 0; index < 40; index++) response.setHeader(`x-${index}`, 'y'.repeat(1_000))
      response.end()
    })
    await assert.rejects(get(http, `https://localhost:${port}/`), isFault('connection_failed'))
  })
  test('proxies of the environment are not used', async () => {
    const { port } = await serve((_request, response) => response.end('direct'))
    process.env.HTTP_PROXY = process.env.http_proxy = 'http://127.0.0.1:1'
    try {
      assert.equal((await get(http, `https://localhost:${port}/`)).body.toString(), 'direct')
    } finally {
      delete process.env.HTTP_PROXY
      delete process.env.http_proxy
    }
  })
})
