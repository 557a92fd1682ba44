import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { telemetryPage } from './telemetry-page.ts'

test('docs/telemetry.md shows every metric as the catalogue has it: npm run docs:telemetry', () => {
  const page = readFileSync(new URL('../docs/telemetry.md', import.meta.url), 'utf8')
  assert.equal(page, telemetryPage(page))
})
