import assert from 'node:assert/strict'
import { MalformedAnswer } from '../http/answer-head.ts'
import { type Answer, createAnswerReader } from '../http/answer-reader.ts'
import { parsePacketHead } from '../http/packet-head.ts'
import type { FuzzTarget } from './target.ts'

const latin1 = (...lines: string[]) => Buffer.from(lines.join('\r\n'), 'latin1')

export const answerCorpus: readonly Buffer[] = [
  latin1('HTTP/1.1 200 OK', 'Content-Type: application/octet-stream', 'Content-Length: 5', '', 'hello'),
  latin1('HTTP/1.1 200 OK', 'ilp-repeats: known', 'Keep-Alive: timeout=5', 'Content-Length: 0', '', ''),
  latin1(
    'HTTP/1.1 200 OK',
    'Transfer-Encoding: chunked',
    '',
    '5',
    'hello',
    '1f;x=y',
    'x'.repeat(31),
    '0',
    '',
    '',
  ),
  latin1(
    'HTTP/1.1 502 Bad Gateway',
    'transfer-encoding: CHUNKED',
    '',
    'A',
    '0123456789',
    '0',
    'X: y',
    '',
    '',
  ),
  latin1('HTTP/1.1 100 Continue', '', 'HTTP/1.1 200 OK', 'Content-Length: 1', '', 'x'),
  latin1('HTTP/1.1 204 No Content', 'Connection: close', '', ''),
  latin1(
    'HTTP/1.1 429 Slow down',
    'Server: nginx',
    'Date: Mon, 30 Nov 2026 00:00:00 GMT',
    'Content-Length: 3',
    '',
    'no!',
  ),
]

/** All at once, or cut into pieces of one size. */
function readIn(bytes: Buffer, size: number): Answer | undefined {
  const reader = createAnswerReader(4096)
  try {
    for (let at = 0; at < bytes.length; at += size) {
      const answer = reader.read(bytes.subarray(at, at + size))
      // More than one answer is told apart only where the cut allows it.
      if (answer) return at + size >= bytes.length ? answer : undefined
    }
    return undefined
  } catch (error) {
    if (error instanceof MalformedAnswer) return undefined
    throw error
  }
}

const answerTarget: FuzzTarget = {
  name: 'http answer',
  corpus: answerCorpus,
  check(bytes) {
    const original = Buffer.from(bytes)
    const whole = readIn(bytes, Math.max(1, bytes.length))
    const size = 1 + (bytes.length % 7)
    if (bytes.length < 4096) {
      const pieces = readIn(bytes, size)
      if (whole) assert.deepEqual(pieces?.body, whole.body, 'however it is cut')
      else assert.equal(pieces, undefined, 'however it is cut')
    }
    assert.ok(bytes.equals(original), 'reading changes nothing')
    return whole ? 'accepted' : 'refused'
  },
}

const heads = [
  latin1(
    'POST / HTTP/1.1',
    'Host: x',
    'Authorization: Bearer abc',
    'Content-Type: application/octet-stream',
    'Content-Length: 5',
  ),
  latin1(
    'POST /accounts/x/ilp?y=z HTTP/1.1',
    'host: connector.example:3002',
    'connection: keep-alive',
    'accept: */*',
    'authorization: bearer abc.def',
    'content-type: application/ilp+octet-stream; x=y',
    'content-length: 1234',
  ),
]

/** See `packet-head.property.test.ts` for what node:http makes of them. */
const headTarget: FuzzTarget = {
  name: 'http packet head',
  corpus: heads,
  check(bytes) {
    const head = parsePacketHead(bytes.toString('latin1'))
    if (!head) return 'refused'
    assert.ok(Number.isSafeInteger(head.contentLength) && head.contentLength >= 0)
    assert.match(head.token, /^[\x21-\x7e]+$/)
    return 'accepted'
  },
}

export const httpTargets: readonly FuzzTarget[] = [answerTarget, headTarget]
