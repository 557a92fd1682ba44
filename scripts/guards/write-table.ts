// Writes the tables of docs/security-tests.md from the list of guards.
import { readFileSync, writeFileSync } from 'node:fs'
import { withTables } from './table.ts'
import { threatTables } from './threats/index.ts'

const page = new URL('../../docs/security-tests.md', import.meta.url)
writeFileSync(page, withTables(readFileSync(page, 'utf8'), threatTables))
