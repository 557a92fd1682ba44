/**
 * GraphQL server is how a schema is served to tenants: signed HTTP in, one operation, its answer out. It knows no domain; a
 * deployable brings the schema, its table of error codes, where tenants' secrets are and where used signatures are noted, and
 * whether tenants may show a bearer key instead. Always true: nothing of a request runs before its signature or key is proven, no
 * mutation runs twice for one signature, no operation passes the limits, each resolver gets the caller of its own request, and an
 * unexpected error's words stay in the log.
 */
export { type Caller, listScope, type Scope, scopeOf } from './caller.ts'
export { type PageArguments, toConnection, toPage } from './connection.ts'
export { buildGraphqlApp, type GraphqlAppOptions } from './graphql-app.ts'
export { InvalidInput, parseId, type ServerRefusalCode } from './input.ts'
export { type ObserveOperation, observeGraphql } from './observe-graphql.ts'
export { readSchema } from './read-schema.ts'
export { createErrorRenderer, type GraphqlCode, type RenderError } from './render-error.ts'
export { buildServedSchema, type Resolver, type ResolverMap } from './schema.ts'
export { type SignatureTerms, SignatureUsed, type UsedSignature, usingSignature } from './signature.ts'
