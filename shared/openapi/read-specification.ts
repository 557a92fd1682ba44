import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parse } from 'yaml'

/** A document of the npm package. Bundles have it as JSON, and another file in this one's place (`scripts/build`). */
export function readSpecification(name: string): unknown {
  const file = createRequire(import.meta.url).resolve(
    `@interledger/open-payments/dist/openapi/specs/${name}.yaml`,
  )
  return parse(readFileSync(file, 'utf8'))
}
