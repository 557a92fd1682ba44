import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildSchema, validateSchema } from 'graphql'
import { buildAdminSchema } from './app.ts'

test('the schema is one by all rules of GraphQL, which starts take for granted', () => {
  const sdl = readFileSync(new URL('schema.graphql', import.meta.url), 'utf8')
  assert.deepEqual(validateSchema(buildSchema(sdl)), [])
  assert.ok(buildAdminSchema().getQueryType())
})
