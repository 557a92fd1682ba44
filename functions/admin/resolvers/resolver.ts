import type * as server from '../../../shared/graphql-server/index.ts'
import { scopeOf, listScope as scopeOfList } from '../../../shared/graphql-server/index.ts'
import type { AdminContext } from '../context.ts'
import { runOnce } from '../idempotency.ts'

/** What every resolver gets: the node, and who asks. */
export interface RequestContext {
  node: AdminContext
  caller: server.Caller
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

/**
 * A mutation with an `input`: carried out once per idempotency key. What `run` returns is stored as the answer, so it is a wire
 * object: JSON, with the ids that nested fields need. `requestId`: see {@link runOnce}.
 */
export const mutation =
  <Input extends { idempotencyKey?: string | null }, Answer>(
    operation: string,
    run: (ctx: RequestContext, input: Input, requestId: string | undefined) => Promise<Answer>,
  ): Resolver<unknown, { input: Input }> =>
  (_source, args, ctx) =>
    runOnce(
      { ...ctx.node.idempotency, db: ctx.node.db, clock: ctx.node.clock },
      {
        tenantId: ctx.caller.tenantId,
        key: args.input.idempotencyKey ?? undefined,
        operation,
        arguments: plain(args.input),
      },
      (requestId) => run(ctx, args.input, requestId),
    )

/** GraphQL says null where we say absent. */
export const given = <T>(value: T | null | undefined): T | undefined => value ?? undefined
