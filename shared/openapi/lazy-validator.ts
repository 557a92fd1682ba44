import type { SpecName } from './document.ts'
import type { SchemaCompiler } from './schema-compiler.ts'
import {
  type CheckedRequest,
  createValidator,
  type OpenApiValidator,
  type Operation,
  type RequestToCheck,
} from './validator.ts'

/** An {@link OpenApiValidator} that loads what compiles schemas when an operation has one. */
export interface LazyOpenApiValidator {
  /** Rejects with `RequestInvalid`. */
  validateRequest(operation: Operation, request: RequestToCheck): Promise<CheckedRequest>
  /** Rejects with `ResponseInvalid`. */
  validateResponse(operation: Operation, response: { status: number; body?: unknown }): Promise<void>
}

/** For deployables: the compiler is a good part of what there is to load, and a cold start waits for its first answer. */
export function createLazyValidator(options: { spec: SpecName }): LazyOpenApiValidator {
  let loaded: SchemaCompiler | undefined
  let loading: Promise<void> | undefined
  const load = async () => {
    const { createSchemaCompiler } = await import('./schema-compiler.ts')
    loaded = createSchemaCompiler({ checksSchemas: false })
  }
  const validator: OpenApiValidator & { hasSchema(operation: Operation): boolean } = createValidator({
    ...options,
    compiler: () => {
      if (!loaded) throw new Error('the schema compiler is loaded before it is used')
      return loaded
    },
  })
  const untilLoaded = async () => {
    loading ??= load()
    await loading
  }
  return {
    async validateRequest(operation, request) {
      if (!loaded && validator.hasSchema(operation)) await untilLoaded()
      return validator.validateRequest(operation, request)
    },
    async validateResponse(operation, response) {
      if (!loaded) await untilLoaded()
      validator.validateResponse(operation, response)
    },
  }
}
