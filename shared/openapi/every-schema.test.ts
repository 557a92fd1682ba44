import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readDocument, type SpecName } from './document.ts'
import { createOpenApiValidator } from './eager-validator.ts'
import { RequestInvalid, ResponseInvalid } from './errors.ts'
import { createLazyValidator } from './lazy-validator.ts'
import type { Operation } from './validator.ts'

// Deployables compile a schema when a request needs it: an error in one would wait for that request.
const METHODS = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH'] as const
const specs: readonly SpecName[] = ['auth-server', 'resource-server', 'wallet-address-server']

const operationsOf = (name: SpecName) =>
  Object.entries(readDocument(name).paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method.toLowerCase() in item).map((method) => ({
      operation: { method, path } satisfies Operation,
      statuses: Object.keys((item[method.toLowerCase()] as { responses: object }).responses).map(Number),
    })),
  )

/** Runs the check for the sake of the compiler: what it says of the values is another test's concern. */
function compiles(check: () => unknown): void {
  try {
    check()
  } catch (error) {
    assert.ok(error instanceof RequestInvalid || error instanceof ResponseInvalid, String(error))
  }
}

describe('every schema compiles', () => {
  for (const name of specs)
    test(`of ${name}: requests and answers of all operations`, () => {
      const validator = createOpenApiValidator({ spec: name })
      const operations = operationsOf(name)
      assert.ok(operations.length > 0)
      const headers = { accept: 'application/json', 'content-type': 'application/json' }
      for (const { operation, statuses } of operations) {
        compiles(() => validator.validateRequest(operation, { headers, query: {}, body: {} }))
        for (const status of statuses)
          compiles(() => validator.validateResponse(operation, { status, body: {} }))
      }
    })
})

test('what loads the compiler when it is needed says the same', async () => {
  for (const name of specs) {
    const [eager, lazy] = [createOpenApiValidator({ spec: name }), createLazyValidator({ spec: name })]
    for (const { operation } of operationsOf(name))
      for (const headers of [{ accept: 'text/html' }, { 'content-type': 'application/json' }, {}]) {
        const request = { headers, query: { first: 'x' }, body: { client: 1 } }
        const outcome = async (check: () => unknown) => {
          try {
            return await check()
          } catch (error) {
            return String(error)
          }
        }
        assert.deepEqual(
          await outcome(() => lazy.validateRequest(operation, request)),
          await outcome(() => eager.validateRequest(operation, request)),
        )
      }
  }
})
