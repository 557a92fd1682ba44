import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { type Asset, createAsset, depositLiquidity, updateAsset } from '../assets/index.ts'
import { accountCode } from '../ledger/index.ts'
import { AMOUNT_MAX } from '../money/index.ts'
import { sql, uuidv7 } from '../platform/index.ts'
import { createTenant } from '../tenants/index.ts'
import { createTestNode, type TestNode } from '../testing/node.ts'
import {
  announceWalletAddressCredits,
  findWalletAddressForPackets,
  nextCreditStep,
  triggerWalletAddressEvents,
} from './credits.ts'
import type { WalletAddress } from './model.ts'
import { createWalletAddress } from './wallet-addresses.ts'
import { withdrawWalletAddress } from './withdraw-wallet-address.ts'

let node: TestNode
let asset: Asset
let mine: { tenantId: string }
before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  asset = await createAsset(node, { ...mine, code: 'USD', scale: 2, withdrawalThreshold: 100n })
})
after(() => node.close())
beforeEach(async () => {
  await node.db.execute(sql`update wallet_addresses set credits_expected_until = null, announce_at = null`)
})

const create = (of: Asset = asset) =>
  createWalletAddress(node, { tenantId: of.tenantId, assetId: of.id, address: `/credits-${uuidv7()}` })

/** As a connector lets a packet in, and credits it. */
async function credit(address: WalletAddress, amount: bigint): Promise<void> {
  const { id, tenantId } = address
  const { ledger } = address.asset
  assert.equal((await findWalletAddressForPackets(node, id))?.id, id)
  await node.ledger.createAccounts([
    { id, ledger, code: accountCode.webMonetization, debitsMustNotExceedCredits: true },
  ])
  await depositLiquidity(node, { accountId: id, tenantId, ledger, transferId: uuidv7(), amount })
}

const eventsOf = ({ id }: WalletAddress) =>
  node.db.many(
    (row) => ({
      tenantId: row.tenant_id as string,
      data: row.data as unknown,
      withdrawal: [row.withdrawal_account_id, row.withdrawal_asset_id, row.withdrawal_amount] as unknown[],
    }),
    sql`select * from webhook_events where wallet_address_id = ${id} and type = 'wallet_address.web_monetization' order by created_at, id`,
  )
const amountsOf = async (address: WalletAddress) =>
  (await eventsOf(address)).map(({ withdrawal }) => withdrawal[2])
const sweep = (throttleDelayMs?: number) =>
  announceWalletAddressCredits(node, {
    concurrency: 4,
    ...(throttleDelayMs !== undefined && { throttleDelayMs }),
  })
const isWatched = async ({ id }: WalletAddress) =>
  (await node.db.execute(
    sql`select 1 from wallet_addresses where id = ${id} and credits_expected_until is not null`,
  )) === 1

test('the threshold of the asset announces what waits, once, with what can be withdrawn', async () => {
  const address = await create()
  await credit(address, 99n)
  await sweep()
  assert.deepEqual(await amountsOf(address), [])
  await credit(address, 1n)
  assert.equal(await sweep(), 1)
  assert.equal(await sweep(), 0)
  assert.deepEqual(await eventsOf(address), [
    {
      tenantId: address.tenantId,
      data: {
        walletAddress: {
          id: address.id,
          createdAt: address.createdAt.toISOString(),
          receivedAmount: { value: '100', assetCode: 'USD', assetScale: 2 },
        },
      },
      withdrawal: [address.id, asset.id, 100n],
    },
  ])
  // Only what came since, whatever was withdrawn.
  await credit(address, 150n)
  await withdrawWalletAddress(node, mine, {
    walletAddressId: address.id,
    transferId: uuidv7(),
    timeoutSeconds: 0,
  })
  await sweep()
  assert.deepEqual(await amountsOf(address), [100n, 150n])
})

test('the throttle announces what waits so long after the first of it; without either nothing ever does', async () => {
  const plain = await createAsset(node, { ...mine, code: 'EUR', scale: 2 })
  const address = await create(plain)
  await credit(address, 3n)
  assert.equal(await sweep(), 0)
  await credit(address, 4n)
  await sweep(60_000)
  node.clock.advance(30_000)
  await credit(address, 5n)
  assert.equal(await sweep(60_000), 0)
  node.clock.advance(30_000)
  assert.equal(await sweep(60_000), 1)
  assert.deepEqual(await amountsOf(address), [12n])
  // The delay begins anew with what comes next.
  await credit(address, 1n)
  assert.equal(await sweep(60_000), 0)
  node.clock.advance(60_000)
  assert.equal(await sweep(60_000), 1)
  assert.deepEqual(await amountsOf(address), [12n, 1n])
  await credit(address, 2n)
  assert.equal(await sweep(0), 1)
})

test('an address is looked at for as long as packets may be on their way, and no longer', async () => {
  const address = await create()
  assert.equal(await findWalletAddressForPackets(node, uuidv7()), undefined)
  assert.equal(await findWalletAddressForPackets(node, 'no id'), undefined)
  assert.equal(await isWatched(address), false)
  await credit(address, 1n)
  await sweep()
  assert.equal(await isWatched(address), true)
  // Read again in time: the watch goes on.
  node.clock.advance(61_000)
  await findWalletAddressForPackets(node, address.id)
  node.clock.advance(61_000)
  await sweep()
  assert.equal(await isWatched(address), true)
  node.clock.advance(60_000)
  await sweep()
  assert.equal(await isWatched(address), false)
  // A time that was set by the throttle outlives the watch.
  await credit(address, 1n)
  await sweep(600_000)
  node.clock.advance(121_000)
  await sweep(600_000)
  assert.equal(await isWatched(address), false)
  node.clock.advance(479_000)
  assert.equal(await sweep(600_000), 1)
  assert.deepEqual(await amountsOf(address), [2n])
})

test('sweeps at the same time announce each amount once', async () => {
  const addresses = await Promise.all(Array.from({ length: 6 }, () => create()))
  for (let round = 0; round < 5; round++) {
    await Promise.all(addresses.map((address) => credit(address, 100n + BigInt(round))))
    const counts = await Promise.all([
      sweep(),
      sweep(),
      triggerWalletAddressEvents(node, 'all', 100),
      sweep(),
    ])
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      addresses.length,
    )
  }
  for (const address of addresses) assert.deepEqual(await amountsOf(address), [100n, 101n, 102n, 103n, 104n])
})

test('a trigger announces what is due in its scope, up to its limit, and changes nothing else', async () => {
  const { id: tenantId } = await createTenant(node, {
    apiSecret: uuidv7(),
    settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://triggered.example' }],
  })
  const theirs = await createAsset(node, { tenantId, code: 'USD', scale: 2, withdrawalThreshold: 1n })
  const foreign = await create(theirs)
  const own = await Promise.all([create(), create(), create()])
  const [small] = await Promise.all([create(), credit(foreign, 5n), ...own.map((one) => credit(one, 100n))])
  await credit(small, 1n)
  assert.equal(await triggerWalletAddressEvents(node, { tenantId: uuidv7() }, 10), 0)
  assert.equal(await triggerWalletAddressEvents(node, mine, 0), 0)
  assert.equal(await triggerWalletAddressEvents(node, mine, 2), 2)
  assert.equal(await triggerWalletAddressEvents(node, mine, 2), 1)
  assert.deepEqual([await amountsOf(foreign), await amountsOf(small)], [[], []])
  assert.equal(await isWatched(small), true)
  assert.equal(await triggerWalletAddressEvents(node, { tenantId }, 10), 1)
  assert.deepEqual(await amountsOf(foreign), [5n])
  // A throttle that is over is due, too.
  await node.db.execute(
    sql`update wallet_addresses set announce_at = ${node.clock.now()}, credits_expected_until = null where id = ${small.id}`,
  )
  assert.equal(await triggerWalletAddressEvents(node, 'all', 10), 1)
  assert.deepEqual(await amountsOf(small), [1n])
})

test('a walk has as many steps as it needs', async () => {
  const many = await createAsset(node, { ...mine, code: 'MANY', scale: 0, withdrawalThreshold: 1n })
  const address = await create(many)
  await node.db.execute(sql`
    insert into wallet_addresses (id, tenant_id, asset_id, address, credits_expected_until)
    select gen_random_uuid(), ${mine.tenantId}, ${many.id}, 'https://node.example/many-' || n, now()
    from generate_series(1, 1100) as n`)
  await credit(address, 7n)
  assert.equal(await sweep(), 1)
  assert.deepEqual(await amountsOf(address), [7n])
})

test('what is decided: thresholds, times and sums beyond one amount', async () => {
  const now = new Date(Date.UTC(2031, 0, 1))
  const later = new Date(now.getTime() + 1_000)
  const decide = (fields: Parameters<typeof nextCreditStep>[0], received: bigint, throttleDelayMs?: number) =>
    nextCreditStep(fields, { received, now, ...(throttleDelayMs !== undefined && { throttleDelayMs }) })
  assert.deepEqual(decide({ announced: 5n, withdrawalThreshold: 0n }, 5n), { kind: 'rest' })
  assert.deepEqual(decide({ announced: 5n, withdrawalThreshold: 0n }, 6n), { kind: 'announce', amount: 1n })
  assert.deepEqual(decide({ announced: 0n, withdrawalThreshold: 2n, announceAt: later }, 1n, 0), {
    kind: 'wait',
    until: later,
  })
  assert.deepEqual(decide({ announced: 0n, announceAt: now }, 1n), { kind: 'announce', amount: 1n })
  assert.deepEqual(decide({ announced: 0n }, 1n, 1_000), { kind: 'wait', until: later })
  assert.deepEqual(decide({ announced: 1n, withdrawalThreshold: 1n }, AMOUNT_MAX + 2n), {
    kind: 'announce',
    amount: AMOUNT_MAX,
  })
  await updateAsset(node, mine, { id: asset.id, withdrawalThreshold: 10n })
  const address = await create()
  await credit(address, AMOUNT_MAX)
  await credit(address, 11n)
  assert.deepEqual([await sweep(), await sweep(), await sweep()], [1, 1, 0])
  assert.deepEqual(await amountsOf(address), [AMOUNT_MAX, 11n])
})
