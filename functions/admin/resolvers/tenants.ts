import { type PageArguments, parseId, toConnection, toPage } from '../../../shared/graphql-server/index.ts'
import {
  createApiKey,
  createMirroredTenant,
  deleteTenant,
  findAnyTenant,
  getTenant,
  listApiKeys,
  listTenantSettings,
  listTenants,
  revokeApiKey,
  setTenantSettings,
  type Tenant,
  type TenantApiKey,
  type TenantPatch,
  TenantRefusal,
  type TenantSetting,
  untilMirrored,
  updateTenant,
} from '../../../shared/tenants/index.ts'
import { succeeded } from './input.ts'
import { anyOrOwn, type RequestContext, type ResolverMap } from './resolver.ts'
import { toTargetTenant } from './target-tenant.ts'

/** Secrets are fields of their own below, so that who merely mentions a tenant does not carry them along. */
const toTenant = (tenant: Tenant) => ({
  id: tenant.id,
  email: tenant.email,
  publicName: tenant.publicName,
  idpConsentUrl: tenant.idpConsentUrl,
  createdAt: tenant.createdAt.toISOString(),
  deletedAt: tenant.deletedAt?.toISOString(),
})
type TenantNode = ReturnType<typeof toTenant>

const toApiKey = (key: TenantApiKey) => ({
  id: key.id,
  tenantId: key.tenantId,
  name: key.name,
  createdAt: key.createdAt.toISOString(),
  revokedAt: key.revokedAt?.toISOString(),
})

const unknownTenant = () => new TenantRefusal('unknown_tenant', { message: 'unknown tenant' })

function demandOperator(ctx: RequestContext): void {
  if (!ctx.caller.isOperator)
    throw new TenantRefusal('operator_only', { message: 'only the operator may do this' })
}

/** A key opens what its tenant's signature opens, but for the secrets that would outlive the key. */
function demandSignature(ctx: RequestContext): void {
  if (ctx.caller.hasApiKey)
    throw new TenantRefusal('signature_needed', { message: 'this needs a signed request, not an API key' })
}

/** The tenant that a caller may speak about: its own, or, for the operator, any, deleted ones too ("SELF/OP"). */
async function selfOrAny(ctx: RequestContext, id: string): Promise<Tenant> {
  if (!ctx.caller.isOperator) {
    if (id !== ctx.caller.tenantId) throw unknownTenant()
    return await getTenant(ctx.node, id)
  }
  const tenant = await findAnyTenant(ctx.node, id)
  if (!tenant) throw unknownTenant()
  return tenant
}

/** The `tenant` of something that the caller may see. */
const ownerOf = async (owned: { tenantId: string }, _args: unknown, ctx: RequestContext) =>
  toTenant(await selfOrAny(ctx, owned.tenantId))

const secretsOf = (tenant: { id: string }, ctx: RequestContext): Promise<Tenant> => {
  demandSignature(ctx)
  return selfOrAny(ctx, tenant.id)
}

interface CreateInput {
  id?: string | null
  apiSecret: string
  email?: string | null
  publicName?: string | null
  idpConsentUrl?: string | null
  idpSecret?: string | null
  settings?: TenantSetting[] | null
}

interface UpdateInput extends Omit<CreateInput, 'id' | 'apiSecret' | 'settings'> {
  id: string
  apiSecret?: string | null
  apiSecretOverlapSeconds?: number | null
}

const members = ['email', 'publicName', 'idpConsentUrl', 'idpSecret'] as const

/** Forms send an empty text where there is nothing. */
const given = (value: string | null | undefined): string | undefined =>
  value === '' ? undefined : (value ?? undefined)

/** Absent members stay as they are; null and the empty text clear. */
const toPatch = (input: UpdateInput): TenantPatch => ({
  ...Object.fromEntries(
    members.flatMap((member) =>
      input[member] === undefined ? [] : [[member, given(input[member]) ?? null]],
    ),
  ),
  ...(input.apiSecret != null && { apiSecret: input.apiSecret }),
  ...(input.apiSecretOverlapSeconds != null && { apiSecretOverlapSeconds: input.apiSecretOverlapSeconds }),
})

export const tenantResolvers: ResolverMap = {
  Query: {
    tenant: async (_source, args: { id: string }, ctx) =>
      toTenant(await selfOrAny(ctx, parseId(args.id, 'id'))),
    tenants: async (_source, args: PageArguments, ctx) => {
      demandOperator(ctx)
      return toConnection(await listTenants(ctx.node, toPage(args)), toTenant)
    },
  },
  Tenant: {
    apiSecret: async (tenant: TenantNode, _args, ctx) => (await secretsOf(tenant, ctx)).apiSecret,
    idpSecret: async (tenant: TenantNode, _args, ctx) => (await secretsOf(tenant, ctx)).idpSecret,
    settings: (tenant: TenantNode, _args, ctx) => listTenantSettings(ctx.node, tenant.id),
    apiKeys: async (tenant: TenantNode, _args, ctx) => (await listApiKeys(ctx.node, tenant.id)).map(toApiKey),
  },
  Asset: { tenant: ownerOf },
  IncomingPayment: { tenant: ownerOf },
  OutgoingPayment: { tenant: ownerOf },
  Payment: { tenant: ownerOf },
  Peer: { tenant: ownerOf },
  WalletAddress: { tenant: ownerOf },
  WebhookEvent: { tenant: ownerOf },
  Mutation: {
    createTenant: async (_source, { input }: { input: CreateInput }, ctx) => {
      demandOperator(ctx)
      const { id, apiSecret, settings } = input
      const tenant = await createMirroredTenant(ctx.node, {
        apiSecret,
        ...(id != null && { id: parseId(id, 'id') }),
        ...Object.fromEntries(
          members.flatMap((member) => (given(input[member]) === undefined ? [] : [[member, input[member]]])),
        ),
        ...(settings && { settings }),
      })
      return { tenant: toTenant(tenant) }
    },
    updateTenant: async (_source, { input }: { input: UpdateInput }, ctx) => {
      const { id } = await selfOrAny(ctx, parseId(input.id, 'id'))
      if (input.apiSecret !== undefined && ctx.caller.isOperator)
        throw new TenantRefusal('invalid_tenant', { message: 'only a tenant itself changes its apiSecret' })
      if (input.apiSecret !== undefined || input.idpSecret !== undefined) demandSignature(ctx)
      const tenant = await updateTenant(ctx.node, id, toPatch(input))
      await untilMirrored(ctx.node, id)
      return { tenant: toTenant(tenant) }
    },
    deleteTenant: async (_source, args: { id: string }, ctx) => {
      demandOperator(ctx)
      const id = parseId(args.id, 'id')
      await deleteTenant(ctx.node, id)
      await untilMirrored(ctx.node, id)
      return succeeded
    },
    createTenantSettings: async (_source, { input }: { input: { settings: TenantSetting[] } }, ctx) => ({
      settings: await setTenantSettings(ctx.node, ctx.caller.tenantId, input.settings),
    }),
    createTenantApiKey: async (
      _source,
      { input }: { input: { tenantId?: string | null; name?: string | null } },
      ctx,
    ) => {
      demandSignature(ctx)
      const { apiKey, key } = await createApiKey(ctx.node, anyOrOwn(ctx), {
        tenantId: await toTargetTenant(ctx, input.tenantId),
        ...(given(input.name) !== undefined && { name: input.name as string }),
      })
      return { apiKey: toApiKey(apiKey), key }
    },
    revokeTenantApiKey: async (_source, { input }: { input: { id: string } }, ctx) => ({
      apiKey: toApiKey(await revokeApiKey(ctx.node, anyOrOwn(ctx), parseId(input.id, 'id'))),
    }),
  },
}
