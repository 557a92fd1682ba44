import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedAnswer, parseAnswerHead } from './answer-head.ts'

const head = (...fields: string[]) => ['HTTP/1.1 200 OK', 'Content-Length: 0', ...fields].join('\r\n')

/** CPU milliseconds. */
function cost(run: () => void): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

test('blanks around a value are not part of it, others are', () => {
  const { headers } = parseAnswerHead(head('a:b', 'c: \t d  e\t ', 'f:', 'g: \t ', 'h:\u00a0i'))
  assert.deepEqual(
    ['a', 'c', 'f', 'g', 'h'].map((name) => headers.get(name)),
    ['b', 'd  e', '', '', '\u00a0i'],
  )
})

test('a header full of blanks costs no more than another, readable or not', () => {
  const fill = (end: string) => head(`x:a${' '.repeat(15_000)}${end}`)
  const readable = cost(() => {
    for (let count = 0; count < 10; count++) parseAnswerHead(fill('b'))
  })
  const damaged = cost(() => {
    for (let count = 0; count < 10; count++)
      assert.throws(() => parseAnswerHead(fill('\x01')), MalformedAnswer)
  })
  // Read with backtracking it is some seconds.
  assert.ok(readable < 500 && damaged < 500, `${readable} ms, ${damaged} ms`)
})
