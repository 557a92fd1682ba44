import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql'
import { createHandler, type Response } from 'graphql-http'
import { executeOperation } from './execute.ts'
import { limitRules, limits } from './limits.ts'
import type { ObserveOperation } from './observe-graphql.ts'
import type { RenderError } from './render-error.ts'
import { SignatureUsed, type UsedSignature, usesSignature } from './signature.ts'
import { storableTexts } from './text-rule.ts'

export interface GraphqlAnswer {
  status: number
  contentType: string
  body: string
}

const UNAUTHORIZED: Response = [null, { status: 401, statusText: 'Unauthorized' }]

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
    storableTexts,
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

/** As graphql-http calls it. */
const executeWith =
  (observe: ObserveOperation | undefined) =>
  (args: ExecutionArgs): unknown => {
    const operation = observe && getOperationAST(args.document, args.operationName)
    return observe && operation
      ? observe(operation, async () => await executeOperation(args))
      : executeOperation(args)
  }

/** Whether an operation is one mutation, and that uses its signature itself. */
function isUsing(schema: GraphQLSchema, { selectionSet }: OperationDefinitionNode): boolean {
  const [field, ...others] = selectionSet.selections
  if (field?.kind !== Kind.FIELD || others.length > 0) return false
  return usesSignature(schema.getMutationType()?.getFields()[field.name.value]?.resolve)
}

const isOfUsed = ({ errors }: ExecutionResult): boolean =>
  errors?.some(({ originalError }) => originalError instanceof SignatureUsed) ?? false

/** Who asks, as far as an operation has to know. */
export interface GraphqlRequest<Context> {
  /** Absent: nothing is to be used up. */
  signature?: UsedSignature
  claim(signature: UsedSignature): Promise<boolean>
  /** `unused`: the operation is to use it up. */
  contextOf(unused?: UsedSignature): Context
}

/**
 * Answers one GraphQL request over graphql-http, with the statuses that clients of the reference see: 400 for what never ran,
 * 200 for what did, whatever it answered (admin-api.md §1).
 */
export function createGraphql<Context>(options: {
  schema: GraphQLSchema
  introspection: boolean
  renderError: RenderError
  observeOperation?: ObserveOperation
}) {
  const documentOf = createDocuments(options.schema, options.introspection)
  const handle = createHandler<undefined, GraphqlRequest<Context> & { notRun: boolean }, never>({
    schema: options.schema,
    onSubscribe: async (request, params) => {
      const document = documentOf(params.query)
      if (!('kind' in document)) {
        request.context.notRun = true
        return document
      }
      const operation = getOperationAST(document, params.operationName)
      if (!operation) {
        request.context.notRun = true
        return [
          withCode(new GraphQLError('the document has no such operation'), 'OPERATION_RESOLUTION_FAILURE'),
        ]
      }
      const { signature, claim, contextOf } = request.context
      const toUse = operation.operation === 'mutation' ? signature : undefined
      const unused = toUse && isUsing(options.schema, operation) ? toUse : undefined
      if (toUse && !unused && !(await claim(toUse))) return UNAUTHORIZED
      return {
        schema: options.schema,
        document,
        contextValue: contextOf(unused) as never,
        ...(params.operationName != null && { operationName: params.operationName }),
        ...(params.variables != null && { variableValues: params.variables }),
      }
    },
    execute: executeWith(options.observeOperation) as never,
    onOperation: (request, _args, result: ExecutionResult) => {
      if (isOfUsed(result)) return UNAUTHORIZED
      if (!('data' in result)) request.context.notRun = true
      return undefined
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
    /** Parsed JSON. */
    body: Record<string, unknown>,
    request: GraphqlRequest<Context>,
  ): Promise<GraphqlAnswer> => {
    const state = { ...request, notRun: false }
    const [text, init] = await handle({
      method: 'POST',
      url: '/graphql',
      // What the caller's own headers say is settled: the body has been read as JSON, and JSON is what we answer.
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body,
      raw: undefined,
      context: state,
    })
    const contentType = init.headers?.['content-type'] ?? 'text/plain; charset=utf-8'
    const status = state.notRun ? 400 : init.status
    return { status, contentType, body: text ?? init.statusText }
  }
}
