import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Asset, createAsset, LiquidityRefusal } from '../assets/index.ts'
import { accountCode, settlementAccountId, transferCode } from '../ledger/index.ts'
import { AMOUNT_MAX } from '../money/index.ts'
import { deriveId, uuidv7 } from '../platform/index.ts'
import { createTestNode, type TestNode } from '../testing/node.ts'
import { WalletAddressRefusal } from './errors.ts'
import { createWalletAddress } from './wallet-addresses.ts'
import { findWalletAddressLiquidity, withdrawWalletAddress } from './withdraw-wallet-address.ts'

let node: TestNode
let asset: Asset
let mine: { tenantId: string }
before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  asset = await createAsset(node, { ...mine, code: 'USD', scale: 2 })
})
after(() => node.close())

const create = () =>
  createWalletAddress(node, { ...mine, assetId: asset.id, address: `/account-${uuidv7()}` })

/** As the connector credits packets. */
async function credit(id: string, amount: bigint): Promise<void> {
  await node.ledger.createAccounts([
    { id, ledger: asset.ledger, code: accountCode.webMonetization, debitsMustNotExceedCredits: true },
  ])
  const debitAccountId = settlementAccountId(asset.ledger)
  const { ledger } = asset
  const transfer = { debitAccountId, creditAccountId: id, ledger, code: transferCode.deposit, amount }
  assert.deepEqual(await node.ledger.createTransfers([{ kind: 'posted', id: uuidv7(), ...transfer }]), [
    'created',
  ])
}

const withdraw = (walletAddressId: string, transferId = uuidv7(), timeoutSeconds = 0) =>
  withdrawWalletAddress(node, mine, { walletAddressId, transferId, timeoutSeconds })
const refused = (code: string) => (error: unknown) =>
  (error instanceof WalletAddressRefusal || error instanceof LiquidityRefusal) && error.code === code

test('all that arrived is withdrawn, and what arrives later by the next withdrawal', async () => {
  const { id } = await create()
  assert.equal(await findWalletAddressLiquidity(node, id), undefined)
  await assert.rejects(withdraw(id), refused('empty_wallet_address'))
  await credit(id, 70n)
  const first = uuidv7()
  const { amount, transferId, walletAddress } = await withdraw(id, first)
  assert.deepEqual([amount, transferId, walletAddress.id], [70n, first, id])
  assert.equal(await findWalletAddressLiquidity(node, id), 0n)
  await assert.rejects(withdraw(id), refused('empty_wallet_address'))
  await credit(id, 5n)
  await assert.rejects(withdraw(id, first), refused('duplicate_transfer'))
  assert.equal((await withdraw(id)).amount, 5n)
})

test('more than one transfer carries is withdrawn in several', async () => {
  const { id } = await create()
  for (const amount of [AMOUNT_MAX, 5n]) await credit(id, amount)
  assert.equal((await withdraw(id)).amount, AMOUNT_MAX)
  assert.equal((await withdraw(id)).amount, 5n)
  await assert.rejects(withdraw(id), refused('empty_wallet_address'))
})

test('what is reserved is not there for another withdrawal', async () => {
  const { id } = await create()
  await credit(id, 9n)
  assert.equal((await withdraw(id, uuidv7(), 60)).amount, 9n)
  await assert.rejects(withdraw(id), refused('empty_wallet_address'))
})

test('withdrawals at the same time take the money once', async () => {
  const { id } = await create()
  await credit(id, 30n)
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => withdraw(id)))
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal(await findWalletAddressLiquidity(node, id), 0n)
})

test('another tenant’s address is unknown', async () => {
  const { id } = await create()
  await credit(id, 1n)
  const input = { walletAddressId: id, transferId: uuidv7(), timeoutSeconds: 0 }
  for (const [scope, walletAddressId] of [
    [{ tenantId: deriveId('stranger') }, id],
    [mine, 'no id'],
    [mine, uuidv7()],
  ] as const)
    await assert.rejects(
      withdrawWalletAddress(node, scope, { ...input, walletAddressId }),
      refused('unknown_wallet_address'),
    )
})
