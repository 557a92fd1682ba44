import { toMoneyAsset } from '../assets/index.ts'
import type { Ledger } from '../ledger/index.ts'
import { AMOUNT_MAX, toWireAmount } from '../money/index.ts'
import { type Clock, type Db, isUuid } from '../platform/index.ts'
import { eventRecipients, type TenantDefaults, type TenantScope } from '../tenants/index.ts'
import { recordEvent } from '../webhooks/index.ts'
import {
  addAnnounced,
  type CreditedAddress,
  expectCredits,
  selectCredited,
  settleCredited,
} from './credits-store.ts'
import type { WalletAddress } from './model.ts'
import { findWalletAddress } from './wallet-addresses.ts'

type Context = {
  db: Db
  clock: Clock
  ledger: Ledger
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'sendTenantWebhooksToOperator'>
}

/** How long a packet may take from being let in to its credit, many times over. */
const EXPECTED_MS = 120_000
const BATCH = 500
const NO_ID = '00000000-0000-0000-0000-000000000000'

/**
 * The wallet address for a connector that is about to credit it. Whoever reads it so may credit it for a minute: the row says that
 * before the money moves, so that a sweep finds the money even when the connector dies right behind it.
 */
export async function findWalletAddressForPackets(
  ctx: { db: Db; clock: Clock },
  id: string,
): Promise<WalletAddress | undefined> {
  if (!isUuid(id)) return undefined
  await expectCredits(ctx.db, id, {
    until: ctx.clock.fromNow(EXPECTED_MS),
    renewBefore: ctx.clock.fromNow(EXPECTED_MS / 2),
  })
  return await findWalletAddress(ctx, 'all', id)
}

export type CreditStep =
  | { kind: 'announce'; amount: bigint }
  | { kind: 'wait'; until: Date }
  | { kind: 'rest' }

/**
 * What is to be done about an address that received so much in all (payments.md §5): it is announced when what waits reaches the
 * asset's withdrawal threshold, or when the throttle's delay since the first of it is over. With neither, nothing ever is.
 */
export function nextCreditStep(
  address: Pick<CreditedAddress, 'announced' | 'withdrawalThreshold' | 'announceAt'>,
  input: { received: bigint; now: Date; throttleDelayMs?: number },
): CreditStep {
  const { received, now, throttleDelayMs } = input
  const waiting = received - address.announced
  if (waiting <= 0n) return { kind: 'rest' }
  // An event carries an amount; more than fits is announced by the next one.
  const announce = { kind: 'announce', amount: waiting > AMOUNT_MAX ? AMOUNT_MAX : waiting } as const
  if (address.withdrawalThreshold !== undefined && waiting >= address.withdrawalThreshold) return announce
  const until =
    address.announceAt ??
    (throttleDelayMs === undefined ? undefined : new Date(now.getTime() + throttleDelayMs))
  if (until === undefined) return { kind: 'rest' }
  return until <= now ? announce : { kind: 'wait', until }
}

/** The event and the new total, together or not at all. False when another sweep was first. */
const announce = (ctx: Context, address: CreditedAddress, amount: bigint): Promise<boolean> =>
  ctx.db.tx(async (db) => {
    const { id, announced, tenantId, asset } = address
    if (!(await addAnnounced(db, { id, announced, amount, now: ctx.clock.now() }))) return false
    const receivedAmount = toWireAmount({ value: amount, ...toMoneyAsset(asset) })
    await recordEvent(db, {
      tenantId,
      type: 'wallet_address.web_monetization',
      data: { walletAddress: { id, createdAt: address.createdAt.toISOString(), receivedAmount } },
      walletAddressId: id,
      recipientTenantIds: eventRecipients(ctx.settings, tenantId),
      withdrawal: { accountId: id, assetId: asset.id, amount },
    })
    return true
  })

interface Sweep {
  /** Events at most. */
  limit: number
  /** At once. */
  concurrency: number
  throttleDelayMs?: number
}

/** One walk over the addresses in `scope` that may have money to announce. `settle` gets those that have none for now. */
async function sweep(
  ctx: Context,
  scope: TenantScope,
  options: Sweep,
  settle?: (addresses: { id: string; announceAt?: Date }[], now: Date) => Promise<void>,
): Promise<number> {
  let count = 0
  let after = NO_ID
  while (count < options.limit) {
    // Before the ledger is read: what is credited after this moment is expected until after it.
    const now = ctx.clock.now()
    const addresses = await selectCredited(ctx.db, scope, { after, now, limit: BATCH })
    const accounts = await ctx.ledger.lookupAccounts(addresses.map(({ id }) => id))
    const steps = addresses.map((address, index) => ({
      address,
      step: nextCreditStep(address, { ...options, now, received: accounts[index]?.creditsPosted ?? 0n }),
    }))
    const due = steps.flatMap(({ address, step }) =>
      step.kind === 'announce' ? [{ address, amount: step.amount }] : [],
    )
    const chosen = due.slice(0, options.limit - count)
    for (let start = 0; start < chosen.length; start += options.concurrency) {
      const part = chosen.slice(start, start + options.concurrency)
      const told = await Promise.all(part.map(({ address, amount }) => announce(ctx, address, amount)))
      count += told.filter(Boolean).length
    }
    const rest = steps.flatMap(({ address: { id }, step }) =>
      step.kind === 'announce' ? [] : [{ id, ...(step.kind === 'wait' && { announceAt: step.until }) }],
    )
    await settle?.(rest, now)
    const last = addresses.at(-1)
    if (!last || addresses.length < BATCH) break
    after = last.id
  }
  return count
}

/**
 * The worker's sweep: announces what is due (`wallet_address.web_monetization`), each amount once however many sweeps run, and
 * forgets addresses where nothing more can have come. Returns how many events it wrote.
 */
export const announceWalletAddressCredits = (
  ctx: Context,
  options: { throttleDelayMs?: number; concurrency: number },
): Promise<number> =>
  sweep(ctx, 'all', { ...options, limit: Number.POSITIVE_INFINITY }, (addresses, now) =>
    settleCredited(ctx.db, addresses, now),
  )

const TRIGGER_CONCURRENCY = 8

/** Announces now what is due in `scope`, for so many addresses at most. Returns for how many. */
export const triggerWalletAddressEvents = (
  ctx: Context,
  scope: TenantScope,
  limit: number,
): Promise<number> => sweep(ctx, scope, { limit, concurrency: TRIGGER_CONCURRENCY })
