import assert from 'node:assert/strict'
import test from 'node:test'
import { parseJsonBody } from './json-body.ts'

const parse = (text: string) => parseJsonBody(Buffer.from(text))
const refused = { statusCode: 400, code: 'malformed_json' }
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

test('JSON is parsed, and nothing is nothing', () => {
  assert.equal(parse(''), undefined)
  assert.deepEqual(parse('{"a":[1,"\\u00e9\\ud83d\\ude00",null]}'), { a: [1, 'é😀', null] })
  assert.equal(parse('5'), 5)
  assert.deepEqual(parse('{"a":"\\\\u0000"}'), { a: '\\u0000' })
  assert.deepEqual(parse(nested(64)), JSON.parse(nested(64)))
})

test('what is no JSON is refused', () => {
  for (const text of ['{', ' ', 'undefined', "{'a':1}", '{"a":1}x', '"\u0000"'])
    assert.throws(() => parse(text), { ...refused, message: 'Bad Request' })
})

test('nesting is bounded, at once however deep it is', () => {
  for (const text of [nested(65), nested(500_000), `{"a":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_001)}`])
    assert.throws(() => parse(text), { ...refused, message: 'Bad Request: nested too deeply' })
})

test('texts that no database takes are refused, wherever they stand', () => {
  for (const text of ['"\\u0000"', '{"a":[{"b":"x\\u0000"}]}', '{"\\u0000":1}', '"\\ud800"', '{"\\udc00":1}'])
    assert.throws(() => parse(text), { ...refused, message: 'Bad Request: text that is no Unicode' })
})

test('numbers that are infinite here are refused', () => {
  for (const text of ['1e400', '{"a":[-1e309]}'])
    assert.throws(() => parse(text), { ...refused, message: 'Bad Request: number out of range' })
  assert.equal(parse('1.7976931348623157e308'), Number.MAX_VALUE)
})

test('a member that comes twice is refused, however it is written and wherever it stands', () => {
  for (const text of [
    '{"a":1,"a":1}',
    '{"a":1,"b":{"c":"}"},"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":[{"a":1, "a" : 2}]}',
    '[{"__proto__":1,"__proto__":2}]',
    '{"":1,"":2}',
    '{"\\"":1,"\\"":2}',
  ])
    assert.throws(() => parse(text), { ...refused, message: 'Bad Request: a member comes twice' }, text)
  for (const text of [
    '{"a":{"a":1},"b":{"a":1}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a"}',
    ' { "a" : "x\\\\", "b" : ["a", "a:", "a\\":"] } ',
    '{"b":1,"1":2,"a":1.0}',
  ])
    assert.deepEqual(parse(text), JSON.parse(text), text)
})

test('looking for members that come twice takes no longer for a text that tries', () => {
  for (const text of [
    `{"a":"${'\\\\'.repeat(500_000)}"} `,
    ` [${'""   ,'.repeat(150_000)}""]`,
    `{${Array.from({ length: 80_000 }, (_, index) => `"n${index}": 1`).join()}}`,
  ]) {
    const startedAt = performance.now()
    parse(text)
    // Minutes, if it went over the text again for each of them.
    assert.ok(performance.now() - startedAt < 10_000)
  }
})
