import type { ThreatTable } from '../guard.ts'

const resolver = 'functions/admin/resolvers/resolver.ts'
const idempotency = 'functions/admin/idempotency.ts'
const keys = 'functions/admin/idempotency.test.ts'
const mutations = 'functions/admin/idempotent-mutations.test.ts'
const apart = 'functions/admin/tenants-apart.test.ts'

/** What keeps the tenants of a node apart, and what makes its mutations repeatable. */
export const nodeTenantThreats: ThreatTable = {
  title: 'Tenants of a node, and repeated mutations',
  about:
    'Every operation of the Admin API is asked for what is own, foreign and nobody’s, by owner, stranger and operator (`functions/admin/isolation-cases.ts`); every mutation with an idempotency key is repeated, crowded, cut off and killed.',
  threats: [
    {
      name: "Other tenants' things at the node (G-1, G-2, G-4)",
      guards: [
        {
          name: 'a tenant reaches its own rows',
          file: resolver,
          text: 'scopeOf(ctx.caller)',
          without: "(void ctx, 'all' as const)",
          test: { file: apart, name: 'what another tenant has is as unknown' },
        },
        {
          name: 'what is the owner’s alone is not even the operator’s',
          file: resolver,
          text: 'export const own = (ctx: RequestContext) => ({ tenantId: ctx.caller.tenantId })',
          without: 'export const own = (ctx: RequestContext) => anyOrOwn(ctx)',
          test: { file: apart, name: 'the operator reaches' },
        },
        {
          name: 'a tenant that names another in a list gets its own',
          file: 'shared/graphql-server/caller.ts',
          text: 'if (!caller.isOperator || !tenantId) return scopeOf(caller)',
          without: 'if (!tenantId) return scopeOf(caller)',
          test: { file: apart, name: 'what another tenant has is as unknown' },
        },
        {
          name: 'nobody but the operator makes things for another tenant',
          file: 'functions/admin/resolvers/target-tenant.ts',
          text: 'if (!ctx.caller.isOperator && target !== ctx.caller.tenantId)',
          without: 'if (target.length === 0)',
          test: { file: apart, name: 'what another tenant has is as unknown' },
        },
        {
          name: 'tenants know nothing of one another',
          file: 'functions/admin/resolvers/tenants.ts',
          text: 'if (id !== ctx.caller.tenantId) throw unknownTenant()',
          without: '',
          test: { file: apart, name: 'what another tenant has is as unknown' },
        },
        {
          name: 'a withdrawal is whose the account is',
          file: 'shared/outgoing-payments/withdrawals.ts',
          text: '!(await isInScopeOf(ctx, scope, withdrawal))',
          without: '(await isInScopeOf(ctx, scope, withdrawal)) === undefined',
          test: { file: apart, name: 'what another tenant has is as unknown' },
        },
        {
          name: 'a foreign cursor says nothing',
          file: 'shared/webhooks/store.ts',
          text: 'filter.tenantId !== undefined && { cursorWhere:',
          without: "filter.tenantId === '' && { cursorWhere:",
          test: { file: apart, name: 'a foreign cursor is as unknown' },
        },
      ],
    },
    {
      name: 'Idempotency keys (A21, F33)',
      guards: [
        {
          name: 'a key is its tenant’s',
          file: resolver,
          text: '  tenantId: ctx.caller.tenantId,\n  key:',
          without: '  tenantId: ctx.node.settings.operatorTenantId,\n  key:',
          test: { file: mutations, name: 'A21: the same key is another one for each tenant' },
        },
        {
          name: 'other arguments are refused',
          file: idempotency,
          text: '!entry.argumentsHash.equals(claim.hash)',
          without: 'entry.argumentsHash.equals(Buffer.alloc(0))',
          test: { file: keys, name: 'refuses a key that was used with other arguments' },
        },
        {
          name: 'what may have had its effect keeps its key',
          file: idempotency,
          text: 'error instanceof Refusal',
          without: 'error instanceof Error',
          test: { file: keys, name: 'F33: a run that failed otherwise' },
        },
        {
          name: 'who was overtaken takes its effect back',
          file: idempotency,
          text: 'if (!(await store(db, claim, answer))) throw inProgress()',
          without: 'await store(db, claim, answer)',
          test: { file: keys, name: 'F33: an effect in one transaction' },
        },
        {
          name: 'who was overtaken stores no answer, in whatever company it asks',
          file: 'functions/admin/idempotency-store.ts',
          text: ' and k.owner = given.owner and k.result is null',
          without: '',
          test: { file: keys, name: 'of two owners of a key' },
        },
        {
          name: 'a key that is held is not taken',
          file: 'functions/admin/idempotency-store.ts',
          text: 'k.locked_until <= (select now from asked where asked.owner = excluded.owner)',
          without: 'k.locked_until is not null',
          test: { file: keys, name: 'of two owners of a key' },
        },
        {
          name: 'effect and answer are one transaction',
          file: resolver,
          text: 'db: { ...ctx.node.db, ...db }, cache',
          without: 'db: (void db, ctx.node.db), cache',
          test: { file: mutations, name: 'cut off between the effect and its stored answer' },
        },
        {
          name: 'a repeat finds what an earlier run made',
          file: 'functions/admin/resolvers/quotes.ts',
          text: 'const known = isRepeat && requestId',
          without: 'const known = isRepeat && requestId && undefined',
          test: { file: mutations, name: 'cut off between the effect and its stored answer' },
        },
        {
          name: 'and moves money once',
          file: 'functions/admin/resolvers/wallet-addresses.ts',
          text: '          acceptRepeat,',
          without: '',
          test: { file: mutations, name: 'cut off between the effect and its stored answer' },
        },
      ],
    },
  ],
}
