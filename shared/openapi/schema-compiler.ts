import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const UINT64_MAX = 2n ** 64n - 1n
const isUint64 = (text: string) => /^\d{1,20}$/.test(text) && BigInt(text) <= UINT64_MAX

/** What turns schemas of the specifications into functions. */
export type SchemaCompiler = Pick<Ajv2020, 'compile'>

/**
 * `checksSchemas`: holds each schema against the rules of JSON Schema first, which are a schema of their own and cost more to compile than
 * all of ours. Tests do, for every schema of the specifications; what serves takes it for granted.
 */
export function createSchemaCompiler(options: { checksSchemas: boolean }): SchemaCompiler {
  const { checksSchemas } = options
  // First error only: collecting all of them would let one request cost as much as its body has mistakes.
  const ajv = new Ajv2020({
    strict: false,
    allErrors: false,
    logger: false,
    meta: checksSchemas,
    validateSchema: checksSchemas,
  })
  addFormats.default(ajv)
  ajv.addFormat('uint64', isUint64)
  return ajv
}
