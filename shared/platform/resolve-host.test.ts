import assert from 'node:assert/strict'
import { pbkdf2 } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { lookup, Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { createGuardedHttp } from './egress-http.ts'
import { Fault } from './errors.ts'
import { createHostResolver, namesIn } from './resolve-host.ts'

const TYPE = { a: 1, aaaa: 28 } as const
const NAME_ERROR = 3

/** The name that a query asks for, its type, and where its question ends (RFC 1035 §4.1). */
function questionOf(query: Buffer) {
  const labels: string[] = []
  let at = 12
  for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + size))
    at += size + 1
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function answerTo(
  query: Buffer,
  end: number,
  input: { code?: number; type?: number; data?: Buffer },
): Buffer {
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(0x8180 | (input.code ?? 0), 2)
  header.writeUInt16BE(input.data ? 1 : 0, 6)
  // No authorities, and nothing additional.
  header.fill(0, 8, 12)
  const question = query.subarray(12, end)
  if (!input.data) return Buffer.concat([header, question])
  const record = Buffer.alloc(12)
  // The name is that of the question.
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(input.type ?? 0, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(60, 6)
  record.writeUInt16BE(input.data.length, 10)
  return Buffer.concat([header, question, record, input.data])
}

type Zone = Record<string, { a?: string; aaaa?: string; hangs?: ('a' | 'aaaa')[] }>

const ipv6 = (text: string) => {
  const [head = '', tail = ''] = text.split('::')
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const [first, last] = [groups(head), groups(tail)]
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]))
}

/** A DNS server on loopback: what the zone has, and silence about every name below `hanging.example`. */
async function startDns(zone: Zone) {
  const asked: string[] = []
  const socket: Socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = questionOf(query)
    asked.push(name)
    if (name.endsWith('hanging.example')) return
    const kind = type === TYPE.a ? 'a' : type === TYPE.aaaa ? 'aaaa' : undefined
    const entry = zone[name]
    if (kind && entry?.hangs?.includes(kind)) return
    const value = kind && entry?.[kind]
    const data = value && (kind === 'a' ? Buffer.from(value.split('.').map(Number)) : ipv6(value))
    socket.send(
      answerTo(query, end, { type, code: entry ? 0 : NAME_ERROR, ...(data && { data }) }),
      port,
      address,
    )
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { server: `127.0.0.1:${socket.address().port}`, asked, close: () => socket.close() }
}

describe('names that strangers choose', () => {
  let dns: Awaited<ReturnType<typeof startDns>>
  let others: (typeof dns)[]
  let resolve: ReturnType<typeof createHostResolver>
  before(async () => {
    others = await Promise.all([startDns({}), startDns({})])
    dns = await startDns({
      'good.example': { a: '93.184.216.34' },
      'both.example': { a: '93.184.216.34', aaaa: '2606:2800:220::1' },
      'six.example': { aaaa: '2606:2800:220::2' },
      'half.example': { a: '93.184.216.35', hangs: ['aaaa'] },
      'empty.example': {},
      'private.example': { a: '127.0.0.1' },
    })
    resolve = createHostResolver({ isOwn: (name) => name === 'own.example', servers: [dns.server] })
  })
  after(() => {
    for (const server of [dns, ...others]) server.close()
  })

  test('addresses of both kinds, of either, or none', async () => {
    const four = { address: '93.184.216.34', family: 4 }
    assert.deepEqual(await resolve('good.example'), [four])
    assert.deepEqual(await resolve('GOOD.example.'), [four])
    assert.deepEqual(await resolve('both.example'), [four, { address: '2606:2800:220::1', family: 6 }])
    assert.deepEqual(await resolve('six.example'), [{ address: '2606:2800:220::2', family: 6 }])
    await assert.rejects(resolve('empty.example'), { code: 'ENODATA' })
    await assert.rejects(resolve('nobody.example'), { code: 'ENOTFOUND' })
  })

  test('however many servers hang: the process goes on, other names are found at once, and each look-up ends in time', async () => {
    // With several servers, each of which may take its time.
    const servers = [dns, ...others].map(({ server }) => server)
    const resolveHanging = createHostResolver({ isOwn: () => false, servers })
    const startedMs = performance.now()
    const hanging = Array.from({ length: 50 }, (_, index) => resolveHanging(`n${index}.hanging.example`))
    const ended = Promise.allSettled(hanging).then((results) => ({
      results,
      ms: performance.now() - startedMs,
    }))
    // All that needs one of the process's threads: files, cryptography, the system's resolver.
    const derive = promisify(pbkdf2)
    await Promise.all([
      readFile(import.meta.filename),
      derive('password', 'salt', 1, 32, 'sha256'),
      lookup('localhost'),
      resolve('good.example'),
    ])
    assert.ok(performance.now() - startedMs < 1_000, `${performance.now() - startedMs} ms`)
    const { results, ms } = await ended
    assert.ok(results.every(({ status }) => status === 'rejected'))
    assert.ok(ms < 5_000, `${ms} ms`)
  })

  test('where one kind of address does not come, the other will do, after a while', async () => {
    const startedMs = performance.now()
    assert.deepEqual(await resolve('half.example'), [{ address: '93.184.216.35', family: 4 }])
    assert.ok(performance.now() - startedMs < 5_000)
  })

  test('what the operator named, and this machine, are the system’s: no server is asked', async () => {
    assert.ok((await resolve('localhost')).some(({ address }) => address === '127.0.0.1'))
    // It may know the name or not; here nobody else is asked.
    await resolve('own.example').catch(() => undefined)
    assert.deepEqual(
      dns.asked.filter((name) => name === 'localhost' || name === 'own.example'),
      [],
    )
    assert.deepEqual(
      [...namesIn('127.0.0.1 localhost\n# 10.0.0.1 no\n\n10.0.0.2\tBank.Local  bank # its.own\n::1 six\n')],
      ['localhost', 'bank.local', 'bank', 'six'],
    )
  })

  test('the guarded client connects where the servers say, unless that is no public address', async () => {
    const listening = createServer((_request, response) => response.end('here')).listen(0, '127.0.0.1')
    await new Promise((ready) => listening.once('listening', ready))
    const { port } = listening.address() as AddressInfo
    const ask = async (allow: string[]) => {
      const http = createGuardedHttp({ allow, allowHttp: true, resolve })
      try {
        const url = `https://private.example:${port}/`
        return (await http.request({ method: 'GET', url, timeoutMs: 2_000 })).body.toString()
      } catch (error) {
        return error instanceof Fault ? error.code : error
      } finally {
        await http.close()
      }
    }
    assert.equal(await ask(['private.example']), 'here')
    assert.equal(await ask(['localhost']), 'egress_denied')
    listening.close()
  })
})

test('the guarded client resolves so by itself', async (t) => {
  t.mock.method(Resolver.prototype, 'resolve4', async () => ['127.0.0.1'])
  t.mock.method(Resolver.prototype, 'resolve6', async () => [])
  const http = createGuardedHttp({ allow: [], allowHttp: false })
  await assert.rejects(
    http.request({ method: 'GET', url: 'https://stranger.example/', timeoutMs: 2_000 }),
    /stranger\.example is not at a public address/,
  )
  await http.close()
})
