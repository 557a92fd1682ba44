import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { buildASTSchema, buildSchema, printSchema } from 'graphql'
import { withAssets } from './assets.ts'

const outdir = mkdtempSync(join(tmpdir(), 'upesi-schemas-'))
after(() => rmSync(outdir, { recursive: true, force: true }))

const schemas = globSync('{functions,shared}/**/*.graphql')

test('a bundle has each schema as a document that says what its text says', () => {
  assert.equal(schemas.length, 2)
  for (const schema of schemas) {
    const source = join(dirname(schema), 'app.ts')
    const text = withAssets(source, "new URL('schema.graphql', import.meta.url)", outdir)
    const [, target = ''] = /new URL\("([^"]+)", import\.meta\.url\)/.exec(text) ?? []
    assert.equal(target, `./${join('assets', schema)}.json`)
    assert.equal(
      printSchema(buildASTSchema(JSON.parse(readFileSync(join(outdir, target), 'utf8')))),
      printSchema(buildSchema(readFileSync(schema, 'utf8'))),
    )
  }
})
