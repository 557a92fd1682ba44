import { Ajv2020 } from 'ajv/dist/2020.js'
import { isObject, messageOf } from '../platform/index.ts'
import type { SpecName } from './document.ts'
import { createOpenApiValidator } from './eager-validator.ts'
import { ResponseInvalid } from './errors.ts'
import { type JsonSchema, readSpec } from './spec.ts'
import type { Operation } from './validator.ts'

/** An answer that the specification does not have, or has otherwise. Its body is an error all the same. */
export interface UnlistedAnswer {
  /** `POST /quotes`; `*`: every operation. */
  operation: string
  status: number
  /** Only answers with this error code; `null`: without one. Absent: any. */
  code?: string | null
  /** Why this server gives it. */
  reason: string
}

/** What came back. */
export interface Exchange {
  method: string
  /** Below the server's base, for instance `/quotes/1`. */
  path: string
  status: number
  contentType: string | undefined
  text: string
}

export interface AnswerGate {
  /** Throws {@link ResponseInvalid} for an answer that neither the specification nor the table has. Paths of no operation pass. */
  check(exchange: Exchange): void
  /** Operations that were answered with success so far, as `GET /quotes/{id}`. */
  readonly succeeded: ReadonlySet<string>
}

const METHODS = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH'] as const
const JSON_CONTENT = 'application/json; charset=utf-8'

const nameOf = ({ method, path }: Operation): string => `${method} ${path}`
const normalised = (path: string): string =>
  decodeURIComponent(path)
    .toLowerCase()
    .replace(/(.)\/+$/, '$1')

function operationsOf(spec: SpecName) {
  const { paths } = readSpec(spec)
  return Object.entries(paths).flatMap(([path, item]) => {
    const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`)
    return METHODS.filter((method) => isObject(item[method.toLowerCase()])).map((method) => {
      const { responses } = item[method.toLowerCase()] as { responses: Record<string, { content?: unknown }> }
      return { operation: { method, path }, pattern, responses }
    })
  })
}

/**
 * For tests: holds every answer against its operation and status, errors included. What the specification does not have must stand
 * in a table with its reason, so that no status appears by accident.
 */
export function createAnswerGate(options: {
  spec: SpecName
  unlisted: readonly UnlistedAnswer[]
  /** Of all errors that are in the table, or are listed without a schema. */
  errorSchema: JsonSchema
}): AnswerGate {
  const operations = operationsOf(options.spec)
  const validator = createOpenApiValidator({ spec: options.spec })
  const isError = new Ajv2020({ strict: false }).compile(options.errorSchema)
  const succeeded = new Set<string>()

  const isUnlisted = (operation: Operation, status: number, body: unknown): boolean =>
    options.unlisted.some((entry) => {
      if (entry.operation !== '*' && entry.operation !== nameOf(operation)) return false
      if (entry.status !== status) return false
      const error = isObject(body) && isObject(body.error) ? body.error : {}
      return entry.code === undefined || (error.code ?? null) === entry.code
    })

  return {
    succeeded,
    check({ method, path, status, contentType, text }) {
      const found = operations.find(
        ({ operation, pattern }) => operation.method === method && pattern.test(normalised(path)),
      )
      if (!found) return
      const { operation, responses } = found
      const wrong = (problem: string) =>
        new ResponseInvalid(`${nameOf(operation)} ${status}: ${problem}: ${text.slice(0, 500)}`)
      if (status === 204 && text === '' && responses['204']) {
        succeeded.add(nameOf(operation))
        return
      }
      if (contentType !== JSON_CONTENT) throw wrong(`content type ${contentType}`)
      const body: unknown = JSON.parse(text)
      const declared = responses[String(status)]
      const isListed = declared !== undefined && !isUnlisted(operation, status, body)
      if (isListed && declared.content !== undefined)
        try {
          validator.validateResponse(operation, { status, body })
        } catch (error) {
          throw wrong(messageOf(error))
        }
      else if (!isListed && !isUnlisted(operation, status, body)) throw wrong('not listed')
      else if (!isError(body)) throw wrong('not an error of this server')
      if (status < 300) succeeded.add(nameOf(operation))
    },
  }
}
