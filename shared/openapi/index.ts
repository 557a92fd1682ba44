/**
 * OpenAPI holds requests against the Open Payments specifications, which come from the `@interledger/open-payments` package, and
 * serves them, with this node's addresses, as JSON and as a page.
 * What a client is told about a bad request is contract (contracts/open-payments/routes.md §0): the first problem only, in
 * Ajv's words, behind a fixed prefix. Unknown members of grant requests pass, as they do in the field; everything that the
 * schema names is checked. No string reaches a regular expression of the specification before its length is bounded.
 */
export { type AnswerGate, createAnswerGate, type Exchange, type UnlistedAnswer } from './answer-gate.ts'
export {
  type ApiDocument,
  joinDocuments,
  pathsAt,
  readDocument,
  type ServerEntry,
  type SpecName,
} from './document.ts'
export { createOpenApiValidator } from './eager-validator.ts'
export { RequestInvalid, ResponseInvalid } from './errors.ts'
export { createLazyValidator, type LazyOpenApiValidator } from './lazy-validator.ts'
export { serveApiDocument } from './serve.ts'
export type { CheckedRequest, OpenApiValidator, Operation, RequestToCheck } from './validator.ts'
