import type { AuthServiceClient, MirroredChange } from '../auth-service-client/index.ts'
import { type Clock, type Db, Fault, type SecretBox, sql } from '../platform/index.ts'
import { enqueueJob, holdLease, type Job, type JobOutcome, ofQueue } from '../queue/index.ts'
import { TenantRefusal } from './errors.ts'
import type { Tenant, TenantDefaults } from './model.ts'
import { announceTenant, forgetTenantHere } from './notice.ts'
import {
  openTenant,
  removeOpening,
  selectIsOpening,
  selectTenant,
  selectTenantMirror,
  type TenantMirror,
} from './store.ts'
import { beginTenant, type CreateTenantInput, type TenantWriteContext } from './tenants.ts'

/**
 * How long a worker's lease on a tenant must last at least. Longer than the authorization server takes a call that was signed
 * by a worker which has lost its lease since: such a call comes too late to undo the next worker's.
 */
export const MIRROR_LEASE_SECONDS = 45

/** A creation that the authorization server has not heard of by then is taken back. */
const OPENING_MS_MAX = 6_000
/** After a change: its caller may use it at once, mostly. */
const MIRRORING_MS_MAX = 2_000
const POLL_MS = { first: 10, max: 100 }

export interface MirrorContext {
  db: Db
  secretBox: SecretBox
  clock: Clock
  auth: AuthServiceClient
  settings: Pick<TenantDefaults, 'operatorTenantId'>
}

/**
 * Brings one tenant's present state to the authorization server: made or changed, deleted, or taken back because its creation
 * was. Jobs carry no state, and run one at a time for each tenant, so changes arrive in their order, and a call that is repeated
 * after a crash says nothing new.
 */
export async function mirrorTenant(ctx: MirrorContext, job: Job): Promise<JobOutcome> {
  const asOf = ctx.clock.now()
  const id = job.key
  const tenant = await selectTenantMirror(ctx, id)
  if (!tenant) await ctx.auth.forgetTenant(id, asOf)
  else if (id === ctx.settings.operatorTenantId) await mirrorOperator(ctx, tenant, asOf)
  else if (tenant.deletedAt) await ctx.auth.deleteTenant(id, tenant.deletedAt, asOf)
  else await putTenant(ctx, job, tenant, asOf)
  return { status: 'done' }
}

async function putTenant(ctx: MirrorContext, job: Job, tenant: TenantMirror, asOf: Date): Promise<void> {
  const { id, apiSecret, previousApiSecret: previous, idpConsentUrl = null, idpSecret = null } = tenant
  const previousApiSecret = previous ? { secret: previous.secret, until: previous.until.toISOString() } : null
  const isThere = await ctx.auth.putTenant(
    { id, apiSecret, previousApiSecret, idpConsentUrl, idpSecret },
    asOf,
  )
  if (!tenant.isOpening) {
    if (!isThere)
      throw new Fault('tenant_deleted_at_auth', {
        retryable: false,
        message: 'the authorization server has deleted a tenant that exists here',
      })
    return
  }
  await ctx.db.tx(async (tx) => {
    await holdLease(tx, job)
    if (!isThere) await removeOpening(tx, id)
    else if ((await openTenant(tx, id)) > 0) await announceTenant(tx, id)
  })
}

/** Its row there is made by that server's own environment, so only what was written here is sent. */
async function mirrorOperator(ctx: MirrorContext, tenant: TenantMirror, asOf: Date): Promise<void> {
  const change: MirroredChange = {
    ...(tenant.written.idpConsentUrl && { idpConsentUrl: tenant.idpConsentUrl ?? null }),
    ...(tenant.written.idpSecret && { idpSecret: tenant.idpSecret ?? null }),
  }
  if (Object.keys(change).length === 0) return
  if (!(await ctx.auth.patchTenant(tenant.id, change, asOf)))
    throw new Fault('operator_missing_at_auth', {
      retryable: true,
      message: "the authorization server does not have the operator's tenant",
    })
}

/** Polls until `check` gives something, for so long at most. */
async function poll<T>(forMs: number, check: () => Promise<T | undefined>): Promise<T | undefined> {
  const until = performance.now() + forMs
  for (let waitMs = POLL_MS.first; ; waitMs = Math.min(waitMs * 2, POLL_MS.max)) {
    const found = await check()
    if (found !== undefined || performance.now() >= until) return found
    await new Promise((resolve) => setTimeout(resolve, waitMs))
  }
}

/**
 * Where nobody works on the queue `tenant-mirror`, who waits for it does: `workOnMirror` takes what is due of it, for no longer than
 * somebody waits, and never throws.
 */
export interface AwaitingMirror {
  workOnMirror?: (withinMs: number) => Promise<unknown>
}

async function pollWorking<T>(
  ctx: AwaitingMirror,
  forMs: number,
  check: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const [found] = await Promise.all([poll(forMs, check), ctx.workOnMirror?.(forMs)])
  // The work may have taken longer than the waiting.
  return found ?? (ctx.workOnMirror ? await check() : undefined)
}

type Opening = 'open' | 'refused'

async function openingOf(db: Db, id: string): Promise<Opening | undefined> {
  const isOpening = await selectIsOpening(db, id)
  if (isOpening === undefined) return 'refused'
  return isOpening ? undefined : 'open'
}

/** Takes a creation back, also at the authorization server, which may have heard of it. */
const abandon = (db: Db, id: string): Promise<boolean> =>
  db.tx(async (tx) => {
    await enqueueJob(tx, { queue: 'tenant-mirror', key: id })
    return await removeOpening(tx, id)
  })

/**
 * Creates a tenant here and at the authorization server, or nowhere. It exists for nobody before both have it: a worker of the
 * queue `tenant-mirror` brings it there and opens it. When that takes too long the creation is taken back, and whatever the
 * authorization server heard of it is taken back there as soon as it can be reached. A crash in between leaves the job, which
 * ends what was begun: the tenant then exists in both, although its creator was not told.
 *
 * Throws {@link TenantRefusal} `duplicate_tenant` (also for an id that was deleted there), and as createTenant; {@link Fault}
 * `auth_unavailable`.
 */
export async function createMirroredTenant(
  ctx: TenantWriteContext & AwaitingMirror,
  input: CreateTenantInput,
  options: { openingMsMax: number } = { openingMsMax: OPENING_MS_MAX },
): Promise<Tenant> {
  const id = await beginTenant(ctx, input)
  let opening = await pollWorking(ctx, options.openingMsMax, () => openingOf(ctx.db, id))
  if (opening === undefined && !(await abandon(ctx.db, id))) opening = await openingOf(ctx.db, id)
  if (opening === undefined)
    throw new Fault('auth_unavailable', {
      retryable: true,
      message: 'the authorization server could not be told of a new tenant',
    })
  forgetTenantHere(ctx.cache, id)
  const tenant = opening === 'open' ? await selectTenant(ctx, id) : undefined
  if (!tenant)
    throw new TenantRefusal('duplicate_tenant', { message: 'a tenant with this id existed before' })
  return tenant
}

/** Waits a moment for the authorization server to know a tenant's latest change. False: it will later; the job remains. */
export async function untilMirrored(
  ctx: { db: Db } & AwaitingMirror,
  id: string,
  options: { mirroringMsMax: number } = { mirroringMsMax: MIRRORING_MS_MAX },
): Promise<boolean> {
  const isDone = async () =>
    (await ctx.db.execute(sql`select 1 from jobs j where ${ofQueue('tenant-mirror')} and j.key = ${id}`)) ===
    0
      ? true
      : undefined
  return (await pollWorking(ctx, options.mirroringMsMax, isDone)) ?? false
}
