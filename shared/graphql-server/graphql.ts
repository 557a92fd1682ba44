import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  validate,
} from 'graphql'
import { createHandler } from 'graphql-http'
import { limitRules, limits } from './limits.ts'
import type { RenderError } from './render-error.ts'

export interface GraphqlAnswer {
  status: number
  contentType: string
  body: string
}

const DOCUMENTS_MAX = 500
/** Longer ones carry their values inside and differ each time. */
const KEPT_LENGTH_MAX = 10_000
const SUGGESTION = /( Did you mean [^?]*\?)/g

const withCode = (error: GraphQLError, code: string): GraphQLError =>
  new GraphQLError(error.message.replace(SUGGESTION, ' [Suggestion hidden]'), {
    ...(error.nodes && { nodes: error.nodes }),
    ...(error.source && { source: error.source }),
    ...(error.positions && { positions: error.positions }),
    extensions: { code, ...error.extensions },
  })

/** Parses and validates a document once; clients send the same few texts for ever. */
function createDocuments(schema: GraphQLSchema, introspection: boolean) {
  const rules = [
    ...specifiedRules,
    ...limitRules,
    ...(introspection ? [] : [NoSchemaIntrospectionCustomRule]),
  ]
  const known = new Map<string, DocumentNode>()
  return (text: string): DocumentNode | readonly GraphQLError[] => {
    const cached = known.get(text)
    if (cached) return cached
    let document: DocumentNode
    try {
      document = parse(text, { maxTokens: limits.tokensMax })
    } catch (error) {
      if (error instanceof GraphQLError) return [withCode(error, 'GRAPHQL_PARSE_FAILED')]
      throw error
    }
    const errors = validate(schema, document, rules)
    if (errors.length > 0) return errors.map((error) => withCode(error, 'GRAPHQL_VALIDATION_FAILED'))
    if (text.length <= KEPT_LENGTH_MAX) {
      if (known.size >= DOCUMENTS_MAX) known.clear()
      known.set(text, document)
    }
    return document
  }
}

/** True when the operation that would run is a mutation; malformed documents are not. */
function isMutation(document: DocumentNode, operationName: unknown): boolean {
  return document.definitions.some(
    (definition) =>
      definition.kind === 'OperationDefinition' &&
      definition.operation === 'mutation' &&
      (typeof operationName !== 'string' || definition.name?.value === operationName),
  )
}

/**
 * Answers one GraphQL request over graphql-http, with the statuses that clients of the reference see: 400 for what never ran,
 * 200 for what did, whatever it answered (admin-api.md §1).
 */
export function createGraphql<Context>(options: {
  schema: GraphQLSchema
  introspection: boolean
  renderError: RenderError
}) {
  const documentOf = createDocuments(options.schema, options.introspection)
  const handle = createHandler<
    undefined,
    { notRun: boolean; value: Context; beforeMutation: () => Promise<boolean> },
    never
  >({
    schema: options.schema,
    onSubscribe: async (request, params) => {
      const document = documentOf(params.query)
      if (!('kind' in document)) {
        request.context.notRun = true
        return document
      }
      if (isMutation(document, params.operationName) && !(await request.context.beforeMutation())) {
        return [null, { status: 401, statusText: 'Unauthorized' }]
      }
      return {
        schema: options.schema,
        document,
        contextValue: request.context.value as never,
        ...(params.operationName != null && { operationName: params.operationName }),
        ...(params.variables != null && { variableValues: params.variables }),
      }
    },
    execute: execute as never,
    onOperation: (request, _args, result: ExecutionResult) => {
      if (!('data' in result)) request.context.notRun = true
    },
    formatError: (error) =>
      options.renderError(
        error instanceof GraphQLError
          ? error
          : // graphql-http could not read the request itself.
            new GraphQLError(error.message, { extensions: { code: 'BAD_REQUEST' } }),
      ),
  })

  return async (
    request: { headers: Record<string, string | string[] | undefined>; body: unknown },
    context: Context,
    beforeMutation: () => Promise<boolean>,
  ): Promise<GraphqlAnswer> => {
    const state = { notRun: false, value: context, beforeMutation }
    const [body, init] = await handle({
      method: 'POST',
      url: '/graphql',
      headers: request.headers,
      body: request.body as Record<string, unknown>,
      raw: undefined,
      context: state,
    })
    const contentType = init.headers?.['content-type'] ?? 'text/plain; charset=utf-8'
    const status = state.notRun ? 400 : init.status
    return { status, contentType, body: body ?? init.statusText }
  }
}
