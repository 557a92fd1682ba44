import { readFileSync } from 'node:fs'
import { type DocumentNode, parse } from 'graphql'

/** A schema file in SDL. Bundles read the document as JSON instead (scripts/build/assets.ts): parsing is a tenth of a cold start. */
export const readSchema = (file: URL): DocumentNode => parse(readFileSync(file, 'utf8'), { noLocation: true })
