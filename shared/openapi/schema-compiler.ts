import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const UINT64_MAX = 2n ** 64n - 1n
const isUint64 = (text: string) => /^\d{1,20}$/.test(text) && BigInt(text) <= UINT64_MAX

/** What turns schemas of the specifications into functions. */
export type SchemaCompiler = Pick<Ajv2020, 'compile'>

export function createSchemaCompiler(): SchemaCompiler {
  // First error only: collecting all of them would let one request cost as much as its body has mistakes.
  const ajv = new Ajv2020({ strict: false, allErrors: false, logger: false })
  addFormats.default(ajv)
  ajv.addFormat('uint64', isUint64)
  return ajv
}
