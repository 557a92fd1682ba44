/**
 * What turns the schemas of requests into functions. In a bundle it is another one, which has them ready (`scripts/build/validators.ts`):
 * to compile one schema takes longer than all the rest of a first answer.
 */
export { createSchemaCompiler as createRequestCompiler } from './schema-compiler.ts'
