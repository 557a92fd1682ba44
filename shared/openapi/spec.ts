import { assert, isObject } from '../platform/index.ts'
import { type ApiDocument, readDocument, resolvePointer, type SpecName } from './document.ts'

/** A JSON Schema object; untyped, because Ajv is its reader. */
export type JsonSchema = { readonly [keyword: string]: unknown }

export interface Parameter {
  name: string
  in: 'query' | 'header' | 'path'
  required?: boolean
  schema: JsonSchema
}

interface Content {
  content?: Record<string, { schema: JsonSchema }>
}

export interface OperationSpec {
  parameters?: Parameter[]
  requestBody?: Content & { required?: boolean }
  responses: Record<string, Content>
}

export interface Spec {
  paths: Record<string, Record<string, unknown> & { parameters?: Parameter[] }>
}

/** No URL, amount, date or address of the protocol is longer; the specifications' patterns are quadratic in the length. */
const TEXT_LENGTH_MAX = 8192

/**
 * Replaces every `$ref` by its target, keywords beside it added: `{$ref: payment, additionalProperties: false}` means the
 * closed payment, which JSON Schema proper would read as *nothing allowed*. The documents have no cycles.
 */
function dereference(document: unknown, node: unknown, depth = 0): unknown {
  assert(depth < 100, 'the specification has no reference cycle')
  if (Array.isArray(node)) return node.map((item) => dereference(document, item, depth + 1))
  if (!isObject(node)) return node
  const { $ref: reference, ...beside } = node
  const target =
    typeof reference === 'string'
      ? dereference(document, resolvePointer(document, reference), depth + 1)
      : undefined
  const own = Object.fromEntries(
    Object.entries(beside).map(([key, value]) => [key, dereference(document, value, depth + 1)]),
  )
  return isObject(target) ? { ...target, ...own } : own
}

/** A document of the npm package, references resolved. */
export function readSpec(name: SpecName): Spec {
  const document = readDocument(name)
  return dereference(document, document) as Spec
}

const documents = new Map<SpecName, ApiDocument>()

/** One operation with the parameters of its path, references resolved; `undefined` for one that the document does not have. */
export function readOperation(name: SpecName, method: string, path: string): OperationSpec | undefined {
  const document = documents.get(name) ?? readDocument(name)
  documents.set(name, document)
  const item = document.paths[path]
  const operation = item?.[method.toLowerCase()]
  if (!item || !operation) return undefined
  const { responses, ...ofRequest } = operation as OperationSpec
  const { parameters = [], ...resolved } = dereference(document, ofRequest) as typeof ofRequest
  const ofPath = dereference(document, item.parameters ?? []) as Parameter[]
  return {
    ...resolved,
    parameters: [...parameters, ...ofPath],
    // Most of a document is its answers, and a node in production does not ask about its own.
    get responses() {
      return dereference(document, responses) as OperationSpec['responses']
    },
  }
}

/** The schema as requests are held against it: bounded texts, and `unevaluatedProperties` left out, as the field does. */
export function lenientSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(lenientSchema)
  if (!isObject(schema)) return schema
  const { unevaluatedProperties: _unenforced, ...rest } = schema
  const copy = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, lenientSchema(value)]))
  const isText = copy.type === 'string' && ('pattern' in copy || 'format' in copy)
  return isText && !('maxLength' in copy) ? { ...copy, maxLength: TEXT_LENGTH_MAX } : copy
}
