import { Ajv2020, type CodeOptions } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { ownFormats } from './formats.ts'

/** What turns schemas of the specifications into functions. */
export type SchemaCompiler = Pick<Ajv2020, 'compile'>

/**
 * `checksSchemas`: holds each schema against the rules of JSON Schema first, which are a schema of their own and cost more to compile than
 * all of ours. Tests do, for every schema of the specifications; what serves takes it for granted.
 */
export function createSchemaCompiler(options: { checksSchemas: boolean }): SchemaCompiler {
  return createAjv(options)
}

/** `code`: how Ajv writes its functions; for those that are kept as sources. */
export function createAjv(options: { checksSchemas: boolean; code?: CodeOptions }): Ajv2020 {
  const { checksSchemas, code } = options
  // First error only: collecting all of them would let one request cost as much as its body has mistakes.
  const ajv = new Ajv2020({
    strict: false,
    allErrors: false,
    logger: false,
    meta: checksSchemas,
    validateSchema: checksSchemas,
    ...(code && { code }),
  })
  addFormats.default(ajv)
  for (const [name, format] of Object.entries(ownFormats)) ajv.addFormat(name, format)
  return ajv
}
