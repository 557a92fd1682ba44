import type { ThreatTable } from '../guard.ts'

const resolvers = 'functions/admin/resolvers/tenants.ts'
const app = 'shared/graphql-server/graphql-app.ts'
const keys = 'shared/tenants/api-keys.ts'
const store = 'shared/tenants/store.ts'
const model = 'shared/tenants/model.ts'
const mirror = 'shared/tenants/mirror.ts'
const secretTests = 'functions/admin/api-secrets.test.ts'
const keyTests = 'functions/admin/api-keys.test.ts'
const tenantTests = 'functions/admin/tenants.test.ts'
const afterRelease = 'shared/assets/withdraw-after-release.ts'
const tenantRoomTests = 'shared/tenants/tenants.test.ts'
const mirrorTests = 'shared/tenants/mirror.test.ts'

/** Who is a tenant, and what speaks for one. */
export const tenantThreats: ThreatTable = {
  title: 'Tenants and their API keys',
  about:
    'Tenants exist at the node and at the authorization server, and API keys speak for them without a signature.',
  threats: [
    {
      name: 'Secrets that were changed',
      guards: [
        {
          name: 'end at once unless asked otherwise',
          file: model,
          text: 'if (change.overlapSeconds === 0) return undefined',
          without: '',
          test: { file: secretTests, name: 'is over when the same secret is set again without an overlap' },
        },
        {
          name: 'end when their time is over',
          file: model,
          text: 'previousApiSecret && previousApiSecret.until > now',
          without: 'previousApiSecret && now',
          test: { file: secretTests, name: 'is over by itself' },
        },
        {
          name: 'at the authorization server too',
          file: 'functions/auth/tenants/tenants.ts',
          text: 'until !== null && until > ctx.clock.now()',
          without: 'until !== null',
          test: {
            file: 'functions/auth/admin/attacks.test.ts',
            name: 'a secret that was changed with an overlap is good until its time, and safe from replays',
          },
        },
        {
          name: 'live on for a week at most',
          file: model,
          text: 'seconds > API_SECRET_OVERLAP_SECONDS_MAX',
          without: 'false',
          test: {
            file: secretTests,
            name: 'is bounded, goes with a secret, and is not the operator’s to make',
          },
        },
        {
          name: 'are the tenant’s to change',
          file: resolvers,
          text: 'if (input.apiSecret !== undefined && ctx.caller.isOperator)',
          without: 'if (input.apiSecret === undefined && input.apiSecretOverlapSeconds === -1)',
          test: {
            file: secretTests,
            name: 'is bounded, goes with a secret, and is not the operator’s to make',
          },
        },
        {
          name: 'are sealed',
          file: store,
          text: 'previous ? seal(previous.secret) : null',
          without: 'previous ? previous.secret : null',
          test: { file: secretTests, name: 'is sealed at rest, and told to the authorization server' },
        },
      ],
    },
    {
      name: 'Administration of tenants',
      guards: [
        {
          name: 'is the operator’s',
          file: resolvers,
          text: 'if (!ctx.caller.isOperator)\n    throw new TenantRefusal(',
          without: 'if (ctx.caller.tenantId === undefined)\n    throw new TenantRefusal(',
          test: { file: tenantTests, name: 'only the operator lists, creates and deletes' },
        },
        {
          name: 'others see themselves only',
          file: resolvers,
          text: 'if (id !== ctx.caller.tenantId) throw unknownTenant()',
          without: '',
          test: { file: tenantTests, name: 'is read by itself and by the operator, and by nobody else' },
        },
        {
          name: 'no tenant gets the operator’s secret',
          file: model,
          text: 'timingSafeEqual(digest(apiSecret), digest(adminApiSecret))',
          without: 'false',
          test: {
            file: mirrorTests,
            name: 'a tenant cannot change its secret to the operator’s',
          },
        },
        {
          name: 'the operator does not change a tenant’s secret',
          file: resolvers,
          text: 'if (input.apiSecret !== undefined && ctx.caller.isOperator)',
          without: 'if (input.apiSecret === "" && ctx.caller.isOperator)',
          test: { file: tenantTests, name: 'a tenant rotates its own secret, and nobody else does' },
        },
      ],
    },
    {
      name: 'Two places',
      guards: [
        {
          name: 'a tenant that is being opened is nobody’s',
          file: store,
          text: 'id} and not t.is_opening`',
          without: 'id}`',
          test: { file: mirrorTests, name: 'is nobody’s while the authorization server has not answered' },
        },
        {
          name: 'what was begun is taken back there',
          file: mirror,
          text: 'if (!tenant) await ctx.auth.forgetTenant(id, asOf)',
          without: 'if (!tenant) return { status: "done" }',
          test: {
            file: mirrorTests,
            name: 'leaves nothing when what was heard is not known, and can be created again',
          },
        },
        {
          name: 'a change carries its job',
          file: 'shared/tenants/tenants.ts',
          text: 'if (options.isMirrored) await enqueueJob(',
          without: 'if (options.isMirrored === undefined) await enqueueJob(',
          test: { file: mirrorTests, name: 'follows each change, and what is cleared is cleared there' },
        },
      ],
    },
    {
      name: 'Names of other tenants, and money of deleted things',
      guards: [
        {
          name: 'a tenant’s own prefix is not at or below another’s',
          file: 'shared/tenants/tenants.ts',
          text: 'others.some((prefix) => isBelowPrefix(wanted, prefix)) ||',
          without: '',
          test: { file: tenantRoomTests, name: 'a tenant takes no names from others' },
        },
        {
          name: 'nor above',
          file: 'shared/tenants/tenants.ts',
          text: '[settings.openPaymentsUrl, ...others].some(isAbove) ||',
          without: '',
          test: { file: tenantRoomTests, name: 'a tenant takes no names from others' },
        },
        {
          name: 'the operator has one too',
          file: 'shared/tenants/tenants.ts',
          text: '[settings.openPaymentsUrl, ...others]',
          without: 'others',
          test: { file: tenantRoomTests, name: 'a tenant takes no names from others' },
        },
        {
          name: 'nor are others’ addresses there',
          file: 'shared/tenants/tenants.ts',
          text: ' ||\n    (await hasAddressesOfOthers(tx, tenantId, prefixBase(wanted)))',
          without: '',
          test: { file: tenantRoomTests, name: 'a tenant takes no names from others' },
        },
        {
          name: 'there is one way to write it',
          file: model,
          text: "pathname.includes('%') || prefixBase(href) !== prefixBase(value)",
          without: 'pathname === href',
          test: { file: tenantRoomTests, name: 'a tenant takes no names from others' },
        },
        {
          name: 'and one change at a time',
          file: 'shared/tenants/tenants.ts',
          text: '  await lockPrefixes(tx)\n',
          without: '',
          test: {
            file: tenantRoomTests,
            name: 'of tenants that name one prefix and one below it at the same time',
          },
        },
        {
          name: 'what was reserved of a deleted asset or peer is its tenant’s',
          file: 'shared/outgoing-payments/account-scope.ts',
          text: 'findAnyAsset(ctx, scope, account.userData128)',
          without: "findAnyAsset(ctx, 'all', account.userData128)",
          test: {
            file: 'shared/outgoing-payments/liquidity.test.ts',
            name: 'posted and voided after it was deleted',
          },
        },
      ],
    },
    {
      name: 'Ids of transfers that can be foreseen',
      guards: [
        {
          name: 'a wallet names no transfer of its own like one of the node’s',
          file: 'functions/admin/resolvers/input.ts',
          text: 'if (!isChosenId(id))',
          without: 'if (false)',
          test: {
            file: 'functions/admin/tenants-apart.test.ts',
            name: 'the ids of transfers that another tenant’s payments will need',
          },
        },
        {
          name: 'the node derives none that a wallet may name',
          file: 'shared/ledger/derived-ids.ts',
          text: 'if (variant < 0) return id',
          without: 'if (variant < RFC_VARIANTS.length) return id',
          test: { file: 'shared/ledger/derived-ids.test.ts', name: 'have no id in common' },
        },
        {
          name: 'what is there under an id of earlier versions counts only if it is a close',
          file: 'shared/ledger/closed-accounts.ts',
          text: "transfer?.kind === 'close' ? [transfer.id] : []",
          without: 'transfer ? [transfer.id] : []',
          test: {
            file: 'shared/ledger/closed-accounts.test.ts',
            name: 'what was taken beside it under such an id',
          },
        },
        {
          name: 'nor the one under which a reserved withdrawal ends',
          file: 'shared/outgoing-payments/withdrawals.ts',
          text: '  deriveTransferId,\n',
          without: '  formerTransferId as deriveTransferId,\n',
          test: {
            file: 'shared/outgoing-payments/liquidity.test.ts',
            name: 'nobody can take the id under which a reserved withdrawal',
          },
        },
        {
          name: 'one that ended under its former id has ended',
          file: 'shared/outgoing-payments/withdrawals.ts',
          text: "if (kind === 'post') return\n",
          without: '\n',
          test: {
            file: 'shared/outgoing-payments/liquidity.test.ts',
            name: 'what an earlier version posted or voided',
          },
        },
        {
          name: 'nor the one of the withdrawal behind a reserved one that was released',
          file: afterRelease,
          text: 'const transferId = deriveTransferId(',
          without: 'const transferId = formerTransferId(',
          test: {
            file: 'shared/outgoing-payments/liquidity.test.ts',
            name: 'nobody can take the id of the withdrawal that follows a reserved one',
          },
        },
        {
          name: 'somebody else’s money there is not that withdrawal',
          file: afterRelease,
          text: 'transfer.debitAccountId === released.accountId',
          without: 'true',
          test: {
            file: 'shared/outgoing-payments/liquidity.test.ts',
            name: 'nobody can take the id of the withdrawal that follows a reserved one',
          },
        },
        {
          name: 'what was withdrawn under its former id is not withdrawn again',
          file: afterRelease,
          text: 'if (former !== transferId &&',
          without: 'if (former === transferId &&',
          test: {
            file: 'shared/outgoing-payments/liquidity.test.ts',
            name: 'what an earlier version withdrew behind a reservation',
          },
        },
        {
          name: 'or this payment’s delivery',
          file: 'shared/payment-methods/local/local-method.ts',
          text: 'transfer?.userData128 === outgoingPaymentId',
          without: 'transfer !== undefined',
          test: {
            file: 'shared/payment-methods/local/local-method.test.ts',
            name: 'what others put there is not',
          },
        },
      ],
    },
    {
      name: 'A price of the payer’s own making',
      guards: [
        {
          name: 'counts for nothing where another tenant’s liquidity pays',
          file: 'shared/payment-methods/local/local-method.ts',
          text: '{ tenantId: local.tenantId, ...assets }',
          without: '{ tenantId: input.tenantId, ...assets }',
          test: {
            file: 'shared/payment-methods/local/local-method.test.ts',
            name: 'what another tenant’s liquidity pays out',
          },
        },
      ],
    },
    {
      name: 'API keys',
      guards: [
        {
          name: 'the secret is compared',
          file: keys,
          text: 'if (!known || !isSame) return undefined',
          without: 'if (!known || isSame === undefined) return undefined',
          test: { file: keyTests, name: 'everything else is 401, in the words of a wrong signature' },
        },
        {
          name: 'a revoked one is dead',
          file: keys,
          text: 'and k.revoked_at is null and t.deleted_at',
          without: 'and t.deleted_at',
          test: { file: keyTests, name: 'is dead from the moment it is revoked, or its tenant deleted' },
        },
        {
          name: 'another tenant revokes none',
          file: keys,
          text: "scopeSql(scope, rawSql('k.tenant_id'))",
          without: "scopeSql('all', rawSql('k.tenant_id'))",
          test: { file: keyTests, name: 'is dead from the moment it is revoked, or its tenant deleted' },
        },
        {
          name: 'nobody takes one for another tenant’s',
          file: app,
          text: 'String(named).toLowerCase() !== tenantId',
          without: 'named === tenantId.slice(1)',
          test: { file: keyTests, name: 'everything else is 401, in the words of a wrong signature' },
        },
        {
          name: 'off unless they are switched on',
          file: 'functions/admin/app.ts',
          text: '...(options.apiKeysEnabled && {',
          without: '...(options.apiKeysEnabled !== undefined && {',
          test: { file: keyTests, name: 'counts for nothing unless the node is set to take such' },
        },
        {
          name: 'they open no secrets and make no keys',
          file: resolvers,
          text: 'if (ctx.caller.hasApiKey)',
          without: 'if (ctx.caller.tenantId === undefined)',
          test: { file: keyTests, name: 'opens no secret that would outlive it' },
        },
      ],
    },
  ],
}
