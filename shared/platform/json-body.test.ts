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
