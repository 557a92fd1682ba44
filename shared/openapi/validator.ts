import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import { assert } from '../platform/index.ts'
import type { SpecName } from './document.ts'
import { RequestInvalid, ResponseInvalid } from './errors.ts'
import type { SchemaCompiler } from './schema-compiler.ts'
import { type JsonSchema, lenientSchema, type OperationSpec, readOperation } from './spec.ts'

/** An operation of the document: the path is its template, for instance `/incoming-payments/{id}`. */
export interface Operation {
  method: 'GET' | 'POST' | 'DELETE' | 'PUT' | 'PATCH'
  path: string
}

export interface RequestToCheck {
  /** Names in lower case, as Node gives them. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  query?: unknown
  /** Parsed JSON; `undefined` when the request has none. */
  body?: unknown
}

export interface CheckedRequest {
  /** Integers of the schema as numbers; other values as received. */
  query: Record<string, unknown>
  body: unknown
}

export interface OpenApiValidator {
  /** Throws {@link RequestInvalid}. The body is not changed. */
  validateRequest(operation: Operation, request: RequestToCheck): CheckedRequest
  /** Throws {@link ResponseInvalid}. For tests and development: production trusts its own tests. */
  validateResponse(operation: Operation, response: { status: number; body?: unknown }): void
}

interface CompiledRequest {
  body?: { required: boolean; validate: ValidateFunction }
  headers?: ValidateFunction
  query?: ValidateFunction
  integers: readonly string[]
}

const JSON_TYPE = 'application/json'

/** Ajv's words with the path in dots, as the wire has always had them. */
function describe(errors: ErrorObject[] | null | undefined, prefix: string): string {
  const error = errors?.[0]
  assert(error, 'a failed validation has an error')
  const path = `${prefix}${error.instancePath}`.replaceAll('/', '.').replace(/^\./, '')
  const extra = error.keyword === 'additionalProperties' ? `: ${error.params.additionalProperty}` : ''
  return `${path === '' ? '' : `${path} `}${error.message}${extra}`
}

/** Whether `Accept` admits JSON (RFC 9110 §12.5.1; no header admits all). */
function acceptsJson(accept: string | string[] | undefined): boolean {
  if (accept === undefined || accept === '') return true
  return String(accept)
    .split(',')
    .some((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      const refused = parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter))
      return !refused && (type === '*/*' || type === 'application/*' || type === JSON_TYPE)
    })
}

const mediaTypeOf = (contentType: string | string[] | undefined) =>
  String(contentType ?? '')
    .split(';')[0]
    ?.trim()
    .toLowerCase() ?? ''

function compileRequest(compiler: () => SchemaCompiler, operation: OperationSpec): CompiledRequest {
  const schemaOf = (place: 'query' | 'header') => {
    const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === place)
    if (parameters.length === 0) return undefined
    const nameOf = (name: string) => (place === 'header' ? name.toLowerCase() : name)
    return compiler().compile({
      type: 'object',
      properties: Object.fromEntries(
        parameters.map(({ name, schema }) => [nameOf(name), lenientSchema(schema)]),
      ),
      required: parameters.filter(({ required }) => required).map(({ name }) => nameOf(name)),
    })
  }
  const schema = operation.requestBody?.content?.[JSON_TYPE]?.schema
  const headers = schemaOf('header')
  const query = schemaOf('query')
  return {
    ...(schema && {
      body: {
        required: operation.requestBody?.required === true,
        validate: compiler().compile(lenientSchema(schema) as JsonSchema),
      },
    }),
    ...(headers && { headers }),
    ...(query && { query }),
    integers: (operation.parameters ?? [])
      .filter((parameter) => parameter.in === 'query' && parameter.schema.type === 'integer')
      .map(({ name }) => name),
  }
}

/** The body's problem, if any. The order of checks is contract: content first, then a body's absence, then its type. */
function checkBody(rule: NonNullable<CompiledRequest['body']>, request: RequestToCheck): void {
  const mediaType = mediaTypeOf(request.headers['content-type'])
  if (mediaType === JSON_TYPE) {
    const isAbsent = request.body === undefined && !rule.required
    if (!isAbsent && !rule.validate(request.body ?? {}))
      throw new RequestInvalid(400, describe(rule.validate.errors, 'body'))
  } else if (mediaType === '' && rule.required)
    throw new RequestInvalid(400, 'body media type is not specified')
}

function checkMediaType(request: RequestToCheck): void {
  const mediaType = mediaTypeOf(request.headers['content-type'])
  if (mediaType !== '' && mediaType !== JSON_TYPE)
    throw new RequestInvalid(415, `Unsupported Content-Type ${mediaType.slice(0, 100)}`)
}

function coerceQuery(query: unknown, integers: readonly string[]): Record<string, unknown> {
  const coerced: Record<string, unknown> = { ...(query as Record<string, unknown> | undefined) }
  for (const name of integers) {
    const value = coerced[name]
    if (typeof value === 'string' && /^-?\d{1,15}$/.test(value)) coerced[name] = Number(value)
  }
  return coerced
}

/** Validators compile at their first use, so that a cold start pays only for the routes that are called. */
export function createValidator(options: {
  spec: SpecName
  /** Of requests. */
  compiler: () => SchemaCompiler
  /** Of answers. */
  answerCompiler: () => SchemaCompiler
}): OpenApiValidator & {
  /** Whether its requests are held against a schema. */ hasSchema(operation: Operation): boolean
} {
  const { compiler, answerCompiler } = options
  const operationOf = ({ method, path }: Operation): OperationSpec => {
    const found = readOperation(options.spec, method, path)
    assert(found, `${options.spec} has ${method} ${path}`)
    return found
  }

  const requests = new Map<string, CompiledRequest>()
  const compiledRequest = (operation: Operation): CompiledRequest => {
    const key = `${operation.method} ${operation.path}`
    const known = requests.get(key)
    if (known) return known
    const compiled = compileRequest(compiler, operationOf(operation))
    requests.set(key, compiled)
    return compiled
  }

  const responses = new Map<string, ValidateFunction | undefined>()
  const compiledResponse = (operation: Operation, status: number): ValidateFunction | undefined => {
    const key = `${operation.method} ${operation.path} ${status}`
    if (responses.has(key)) return responses.get(key)
    const declared = operationOf(operation).responses[String(status)]
    if (!declared) throw new ResponseInvalid(`status ${status} is not declared for ${operation.path}`)
    const schema = declared.content?.[JSON_TYPE]?.schema
    const validate = schema && answerCompiler().compile(schema)
    responses.set(key, validate)
    return validate
  }

  // Asked with each request, and an operation is put together out of the whole document.
  const withSchema = new Map<string, boolean>()
  const hasSchema = (operation: Operation): boolean => {
    const { parameters = [], requestBody } = operationOf(operation)
    return requestBody !== undefined || parameters.some(({ in: place }) => place !== 'path')
  }

  return {
    hasSchema(operation) {
      const key = `${operation.method} ${operation.path}`
      const answer = withSchema.get(key) ?? hasSchema(operation)
      withSchema.set(key, answer)
      return answer
    },
    validateRequest(operation, request) {
      if (!acceptsJson(request.headers.accept)) throw new RequestInvalid(406, 'Must accept application/json')
      const rules = compiledRequest(operation)
      const query = coerceQuery(request.query, rules.integers)
      if (rules.body) checkBody(rules.body, request)
      if (rules.headers && !rules.headers(request.headers))
        throw new RequestInvalid(400, describe(rules.headers.errors, ''))
      if (rules.query && !rules.query(query)) throw new RequestInvalid(400, describe(rules.query.errors, ''))
      if (rules.body) checkMediaType(request)
      return { query, body: request.body }
    },
    validateResponse(operation, response) {
      const validate = compiledResponse(operation, response.status)
      if (validate && !validate(response.body)) throw new ResponseInvalid(describe(validate.errors, 'body'))
    },
  }
}
