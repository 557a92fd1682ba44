import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { _ } from 'ajv/dist/2020.js'
import standalone from 'ajv/dist/standalone/index.js'
import type { Plugin } from 'esbuild'
import { readDocument, type SpecName } from '../../shared/openapi/document.ts'
import { RequestInvalid } from '../../shared/openapi/errors.ts'
import { createAjv } from '../../shared/openapi/schema-compiler.ts'
import { createValidator, type Operation } from '../../shared/openapi/validator.ts'

const SPECS: readonly SpecName[] = ['auth-server', 'resource-server', 'wallet-address-server']
const METHODS: readonly Operation['method'][] = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH']

/** Of a schema; the bundle finds its functions by it. */
const nameOf = (text: string) => `v${createHash('sha256').update(text).digest('hex')}`

/** Every schema that a request of the specification is held against, as the validator would have it compiled. */
function requestSchemas(spec: SpecName): object[] {
  const schemas: object[] = []
  const recorder = {
    compile(schema: object) {
      schemas.push(schema)
      return () => true
    },
  }
  const compiler = () => recorder as never
  const validator = createValidator({ spec, compiler, answerCompiler: compiler })
  for (const [path, item] of Object.entries(readDocument(spec).paths))
    for (const method of METHODS.filter((known) => known.toLowerCase() in item))
      try {
        validator.validateRequest({ method, path }, { headers: {} })
      } catch (error) {
        // It has no body; its schemas have been asked for.
        if (!(error instanceof RequestInvalid)) throw error
      }
  return schemas
}

/** Functions for all of them, in CommonJS, as Ajv writes them. */
function functionsOf(schemas: readonly object[]): string {
  const formats = _`require("upesi-formats")`
  const ajv = createAjv({ checksSchemas: false, code: { source: true, formats } })
  const names = [...new Set(schemas.map((schema) => JSON.stringify(schema)))].map((text) => {
    const name = nameOf(text)
    ajv.addSchema(JSON.parse(text), name)
    return name
  })
  return (standalone as unknown as typeof standalone.default)(
    ajv,
    Object.fromEntries(names.map((name) => [name, name])),
  )
}

const formats = () => `const { fullFormats } = require('ajv-formats/dist/formats')
const { ownFormats } = require(${JSON.stringify(resolve('shared/openapi/formats.ts'))})
module.exports = { ...fullFormats, ...ownFormats }`

const COMPILER = `const { createHash } = process.getBuiltinModule('node:crypto')
import functions from 'upesi-validators'
const compile = (schema) => {
  const found = functions['v' + createHash('sha256').update(JSON.stringify(schema)).digest('hex')]
  if (!found) throw new Error('the bundle has no function for a schema')
  return found
}
export const createRequestCompiler = () => ({ compile })`

/** Puts functions that check requests into the bundle instead of what makes them out of schemas. */
export function validatorsOfRequests(): Plugin {
  let functions: string | undefined
  return {
    name: 'validators',
    setup(build) {
      build.onResolve({ filter: /^upesi-(formats|validators)$/ }, ({ path }) => ({
        path,
        namespace: 'validators',
      }))
      build.onLoad({ filter: /./, namespace: 'validators' }, ({ path }) => {
        functions ??= functionsOf(SPECS.flatMap(requestSchemas))
        const contents = path === 'upesi-formats' ? formats() : functions
        return { contents, loader: 'js', resolveDir: process.cwd() }
      })
      build.onLoad({ filter: /shared\/openapi\/request-compiler\.ts$/ }, () => ({
        contents: COMPILER,
        loader: 'js',
        resolveDir: process.cwd(),
      }))
    },
  }
}
