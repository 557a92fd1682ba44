// Writes the table of docs/telemetry.md from the catalogue: npm run docs:telemetry.
import { readFileSync, writeFileSync } from 'node:fs'
import { telemetryPage } from './telemetry-page.ts'

const file = new URL('../docs/telemetry.md', import.meta.url)
writeFileSync(file, telemetryPage(readFileSync(file, 'utf8')))
