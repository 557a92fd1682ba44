import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heapAfterCollection } from '../testing/heap.ts'
import { createAnswerReader } from './answer-reader.ts'

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const ANSWER = latin1('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx')

test('announcements before an answer are read once each, however they are cut', () => {
  const announced = latin1('HTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 b\r\n\r\n'.repeat(400))
  const reader = createAnswerReader(1000)
  const before = process.cpuUsage()
  for (const byte of announced) assert.equal(reader.read(Buffer.of(byte)), undefined)
  assert.equal(reader.read(ANSWER)?.body.toString(), 'x')
  const { user } = process.cpuUsage(before)
  assert.ok(user < 1_000_000, `${user} µs of processor`)
})

test('announcements without end are too much, at once and one by one', () => {
  const announced = latin1('HTTP/1.1 103 a\r\n\r\n')
  const one = createAnswerReader(1000)
  assert.throws(() => one.read(Buffer.concat(Array.from({ length: 10_000 }, () => announced))), /too large/)
  const other = createAnswerReader(1000)
  assert.throws(() => {
    for (let count = 0; count < 10_000; count++) other.read(announced)
  }, /too large/)
})

test('what announced one answer does not count for the next', () => {
  const reader = createAnswerReader(1000)
  const announced = latin1('HTTP/1.1 103 a\r\n\r\n'.repeat(500))
  for (let count = 0; count < 10; count++)
    assert.equal(reader.read(Buffer.concat([announced, ANSWER]))?.body.toString(), 'x')
})

test('an answer in pieces of a byte takes no more memory than its bytes', () => {
  for (const [head, piece] of [
    ['Transfer-Encoding: chunked', '1\r\nx\r\n'],
    ['Content-Length: 60001', 'x'],
    ['Connection: close', 'x'],
  ] as const) {
    const before = heapAfterCollection()
    const bytes = latin1(piece)
    const readers = Array.from({ length: 10 }, () => {
      const reader = createAnswerReader(64 * 1024)
      reader.read(latin1(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`))
      for (let count = 0; count < 60_000; count++) reader.read(bytes)
      return reader
    })
    const taken = heapAfterCollection() - before
    assert.ok(taken < 10_000_000, `${head}: ${taken} bytes for ${readers.length} answers of 60 kB`)
    const last = head.includes('chunked') ? '1\r\nx\r\n0\r\n\r\n' : 'x'
    const body = readers[0]?.read(latin1(last))?.body ?? readers[0]?.end()?.body
    assert.equal(body?.toString('latin1'), 'x'.repeat(60_001))
  }
})
