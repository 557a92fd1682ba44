import type { SpecName } from './document.ts'
import { createSchemaCompiler } from './schema-compiler.ts'
import { createValidator, type OpenApiValidator } from './validator.ts'

/** With the compiler at hand: for tests, which hold answers against the specification one after the other. */
export function createOpenApiValidator(options: { spec: SpecName }): OpenApiValidator {
  const compiler = createSchemaCompiler({ checksSchemas: true })
  return createValidator({ ...options, compiler: () => compiler, answerCompiler: () => compiler })
}
