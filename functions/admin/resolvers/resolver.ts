import type * as server from '../../../shared/graphql-server/index.ts'
import { scopeOf, listScope as scopeOfList, usingSignature } from '../../../shared/graphql-server/index.ts'
import type { AdminContext } from '../context.ts'
import { type Run, runOnce } from '../idempotency.ts'

/** What every resolver gets: the node, and who asks. */
export interface RequestContext {
  node: AdminContext
  caller: server.Caller
  /** The request's, where the resolver is to use it up. */
  signature?: server.UsedSignature
}

export type Resolver<Source = unknown, Arguments = Record<string, unknown>> = server.Resolver<
  RequestContext,
  Source,
  Arguments
>

export type ResolverMap = server.ResolverMap<RequestContext>

/** The caller's own rows, or everybody's for the operator ("ANY/OWN" in the contract). */
export const anyOrOwn = (ctx: RequestContext) => scopeOf(ctx.caller)

/** The caller's own rows, also for the operator ("OWN"). */
export const own = (ctx: RequestContext) => ({ tenantId: ctx.caller.tenantId })

/** Operator: one tenant's rows when it names one, else all. Tenants: their own, whatever they name. */
export const listScope = (ctx: RequestContext, tenantId: string | null | undefined) =>
  scopeOfList(ctx.caller, tenantId)

const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? item.toString() : item)))

interface Keyed {
  idempotencyKey?: string | null
}

const requestOf = (operation: string, input: Keyed, ctx: RequestContext) => ({
  tenantId: ctx.caller.tenantId,
  key: input.idempotencyKey ?? undefined,
  operation,
  // Held against those of another request with the same key.
  arguments: input.idempotencyKey == null ? undefined : plain(input),
  ...(ctx.signature && { signature: ctx.signature }),
})

const idempotency = ({ node }: RequestContext) => ({ ...node.idempotency, db: node.db, clock: node.clock })

/**
 * A mutation with an `input`: carried out once per idempotency key. What `run` returns is stored as the answer, so it is a wire
 * object: JSON, with the ids that nested fields need. A run that `isRepeat` must find what an earlier one may have done:
 * see {@link Run}.
 */
export const mutation = <Input extends Keyed, Answer>(
  operation: string,
  run: (
    ctx: RequestContext,
    input: Input,
    requestId: string | undefined,
    isRepeat: boolean,
  ) => Promise<Answer>,
): Resolver<unknown, { input: Input }> =>
  usingSignature((_source, args, ctx) =>
    runOnce(idempotency(ctx), requestOf(operation, args.input, ctx), ({ requestId, isRepeat }) =>
      run(ctx, args.input, requestId, isRepeat),
    ),
  )

/**
 * As {@link mutation}, for one whose effect is rows of this node's database and nothing else: no ledger, no other node. They are
 * written in one transaction with the stored answer.
 */
export const rowMutation = <Input extends Keyed, Answer>(
  operation: string,
  run: (ctx: RequestContext, input: Input) => Promise<Answer>,
): Resolver<unknown, { input: Input }> =>
  usingSignature(async (_source, args, ctx) => {
    const changed: string[] = []
    const answer = await runOnce(
      idempotency(ctx),
      { ...requestOf(operation, args.input, ctx), isOneTransaction: true },
      ({ db }) => {
        // What is forgotten before the change can be seen would be remembered as it was.
        const cache = { ...ctx.node.cache, delete: (key: string) => void changed.push(key) }
        return run({ ...ctx, node: { ...ctx.node, db: { ...ctx.node.db, ...db }, cache } }, args.input)
      },
    )
    for (const key of changed) ctx.node.cache.delete(key)
    return answer
  })

/** GraphQL says null where we say absent. */
export const given = <T>(value: T | null | undefined): T | undefined => value ?? undefined
