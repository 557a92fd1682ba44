import type { ThreatTable } from '../guard.ts'

const room = 'shared/graphql-server'
const proof = `${room}/signature.ts`
const limits = `${room}/limits.ts`
const proofs = `${room}/signature.test.ts`
const listener = `${room}/graphql-app.test.ts`
const store = 'functions/auth/admin/store.ts'
const grants = 'functions/auth/admin/grants.test.ts'
const apart = 'functions/auth/admin/tenants-apart.test.ts'
const attacks = 'functions/auth/admin/attacks.test.ts'

/** What both Admin APIs do with an operation, and what keeps tenants apart in that of the authorization server. */
export const graphqlThreats: ThreatTable = {
  title: 'GraphQL',
  about:
    'What one operation may cost and whom it may reach, at both Admin APIs, which are served by `shared/graphql-server`. That no tenant reaches another one is tried for every operation in `functions/admin/tenants-apart.test.ts` and `functions/auth/admin/tenants-apart.test.ts`.',
  threats: [
    {
      name: 'Signatures that are written in another way',
      guards: [
        {
          name: 'one spelling of a time',
          file: 'shared/platform/hmac-signature.ts',
          text: '/^t=([1-9]\\d{0,15})',
          without: '/^t=(\\d{1,16})',
          test: { file: proofs, name: 'with a time as no computer writes it' },
        },
        {
          name: 'the version is ours',
          file: proof,
          text: 'signature.version !== terms.version || ',
          without: '',
          test: { file: proofs, name: 'of another version' },
        },
      ],
    },
    {
      name: 'Acting as somebody else (A9)',
      guards: [
        {
          name: 'each request has a context of its own',
          file: `${room}/graphql-app.ts`,
          text: 'options.contextOf(caller, unused),',
          without:
            'Reflect.get(options, "kept") ?? Reflect.set(options, "kept", options.contextOf(caller, unused)) ? Reflect.get(options, "kept") : options.contextOf(caller, unused),',
          test: { file: listener, name: 'interleaved requests of 20 tenants' },
        },
        {
          name: 'deleted tenants are none',
          file: 'functions/auth/tenants/tenants.ts',
          text: 'from tenants where id',
          without:
            'from (select id, api_secret_sealed, previous_api_secret_sealed, previous_api_secret_until, null as deleted_at from tenants) t where id',
          test: { file: attacks, name: 'a deleted tenant is none' },
        },
      ],
    },
    {
      name: "Other tenants' grants (B37, G-6)",
      guards: [
        {
          name: 'a list has its scope',
          file: store,
          text: 'where: [...inScope(scope), ',
          without: 'where: [',
          test: { file: apart, name: 'a foreign grant is as unknown' },
        },
        {
          name: 'one grant has it',
          file: store,
          text: ', ...inScope(scope)]',
          without: ']',
          test: { file: apart, name: 'tenants of one authorization server' },
        },
        {
          name: 'a cursor has it',
          file: store,
          text: 'cursorWhere: inScope(scope),',
          without: '',
          test: { file: grants, name: 'knows no cursor but its own' },
        },
        {
          name: 'the tenant that is named counts for the operator only',
          file: `${room}/caller.ts`,
          text: '!caller.isOperator || ',
          without: '',
          test: { file: grants, name: "is one's own for a tenant, whatever it names" },
        },
      ],
    },
    {
      name: 'Overload by one operation (B35)',
      guards: [
        {
          name: 'depth',
          file: limits,
          text: 'if (depth > limits.depthMax)',
          without: 'if (false)',
          test: { file: listener, name: '10 levels' },
        },
        {
          name: 'cost',
          file: limits,
          text: 'if (cost > limits.costMax)',
          without: 'if (false)',
          test: { file: listener, name: 'a cost of 5,000, which grows with depth' },
        },
        {
          name: 'aliases',
          file: limits,
          text: 'node.alias && ++aliases === limits.aliasesMax + 1',
          without: 'node.alias && ++aliases < 0',
          test: { file: listener, name: '15 aliases' },
        },
        {
          name: 'directives',
          file: limits,
          text: '++directives === limits.directivesMax + 1',
          without: '++directives < 0',
          test: { file: listener, name: '50 directives' },
        },
        {
          name: 'tokens',
          file: `${room}/graphql.ts`,
          text: '{ maxTokens: limits.tokensMax }',
          without: '{}',
          test: { file: listener, name: '1,000 tokens' },
        },
        {
          name: 'a page is planned for whom it is about',
          file: 'shared/platform/paging.ts',
          text: 'return isOfSome ? plannedAnew(ids) : ids',
          without: 'return isOfSome ? ids : ids',
          test: { file: 'functions/admin/list-plans.test.ts', name: 'pages are read along an index' },
        },
        {
          name: 'values that are asked for are read apart',
          file: 'shared/platform/paging.ts',
          text: 'return values.length <= VALUES_READ_APART_MAX',
          without: 'return values.length < 0 && VALUES_READ_APART_MAX',
          test: { file: 'functions/admin/list-plans.test.ts', name: 'pages are read along an index' },
        },
        {
          name: 'measuring ends early',
          file: limits,
          text: 'if (budget.visits-- <= 0) return { depth, cost: limits.costMax + 1 }',
          without: '',
          test: { file: listener, name: 'fragments that go in circles or double each time' },
        },
        {
          name: 'measuring does not go in circles',
          file: limits,
          text: 'if (name !== undefined && path.includes(name)) continue',
          without: '',
          test: { file: listener, name: 'fragments that go in circles or double each time' },
        },
      ],
    },
    {
      name: 'Telling too much (B36, B41)',
      guards: [
        {
          name: 'no introspection in production',
          file: 'functions/auth/wiring.ts',
          text: "introspection: config.nodeEnv !== 'production',",
          without: 'introspection: true,',
          test: {
            file: 'functions/auth/admin/listener.test.ts',
            name: 'tells its schema, but not in production',
          },
        },
        {
          name: 'no suggestions',
          file: `${room}/graphql.ts`,
          text: "error.message.replace(SUGGESTION, ' [Suggestion hidden]')",
          without: 'error.message',
          test: { file: listener, name: 'says nothing about fields that one does not know' },
        },
        {
          name: 'unexpected errors keep their words',
          file: `${room}/render-error.ts`,
          text: "formatted('internal server error', { code",
          without: 'formatted((original ?? error).message, { code',
          test: { file: listener, name: 'tells refusals by its table, and nothing of what was not expected' },
        },
        {
          name: 'numbers that nobody could sign are refused before anything is computed',
          file: 'shared/platform/json-body.ts',
          text: "if (typeof value === 'number' && !Number.isFinite(value))",
          without: 'if (false)',
          test: { file: listener, name: 'refuses what it cannot read' },
        },
      ],
    },
  ],
}
