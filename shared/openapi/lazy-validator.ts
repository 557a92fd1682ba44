import type { SpecName } from './document.ts'
import type { SchemaCompiler } from './schema-compiler.ts'
import { type CheckedRequest, createValidator, type Operation, type RequestToCheck } from './validator.ts'

/** An {@link OpenApiValidator} that loads what compiles schemas when an operation has one. */
export interface LazyOpenApiValidator {
  /** Rejects with `RequestInvalid`. */
  validateRequest(operation: Operation, request: RequestToCheck): Promise<CheckedRequest>
  /** Rejects with `ResponseInvalid`. */
  validateResponse(operation: Operation, response: { status: number; body?: unknown }): Promise<void>
}

/** For deployables: the compiler is a good part of what there is to load, and a cold start waits for its first answer. */
export function createLazyValidator(options: { spec: SpecName }): LazyOpenApiValidator {
  const requests = loadedOnce(async () => {
    const { createRequestCompiler } = await import('./request-compiler.ts')
    return createRequestCompiler({ checksSchemas: false })
  })
  const answers = loadedOnce(async () => {
    const { createSchemaCompiler } = await import('./schema-compiler.ts')
    return createSchemaCompiler({ checksSchemas: false })
  })
  const validator = createValidator({ ...options, compiler: requests.get, answerCompiler: answers.get })
  return {
    async validateRequest(operation, request) {
      if (validator.hasSchema(operation)) await requests.load()
      return validator.validateRequest(operation, request)
    },
    async validateResponse(operation, response) {
      await answers.load()
      validator.validateResponse(operation, response)
    },
  }
}

function loadedOnce(create: () => Promise<SchemaCompiler>) {
  let loaded: SchemaCompiler | undefined
  let loading: Promise<void> | undefined
  const load = async () => {
    loaded = await create()
  }
  return {
    load: async () => {
      if (loaded) return
      loading ??= load()
      await loading
    },
    get: (): SchemaCompiler => {
      if (!loaded) throw new Error('the schema compiler is loaded before it is used')
      return loaded
    },
  }
}
