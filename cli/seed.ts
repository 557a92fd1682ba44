import type { KeyObject } from 'node:crypto'
import type { AdminClient } from '../examples/mock-wallet/admin-client.ts'
import { jwkOf } from '../shared/http-signatures/index.ts'
import { deriveUuid } from '../shared/platform/index.ts'
import type { Bank } from './bank.ts'
import { customerKey } from './bank-settings.ts'

/** What a bank of `npm start` starts out with. Amounts are in smallest units. */
export interface SeedPlan {
  assets: readonly { code: string; scale: number }[]
  assetLiquidity: bigint
  peerLiquidity: bigint
  /** Absent: no fee. */
  sendingFee?: { fixed: bigint; basisPoints: number }
  /** One wallet address per name, in the named asset. */
  customers: readonly Customer[]
  maxPacketAmount?: bigint
}

const demoMoney = {
  assets: [
    { code: 'USD', scale: 2 },
    { code: 'EUR', scale: 2 },
  ],
  assetLiquidity: 1_000_000_00n,
  peerLiquidity: 1_000_000_00n,
  sendingFee: { fixed: 5n, basisPoints: 50 },
}

export const demoPlan: Record<'a' | 'b', SeedPlan> = {
  a: {
    ...demoMoney,
    customers: [
      { name: 'alice', publicName: 'Alice', assetCode: 'USD' },
      { name: 'amara', publicName: 'Amara', assetCode: 'EUR' },
    ],
  },
  b: {
    ...demoMoney,
    customers: [
      { name: 'bob', publicName: 'Bob', assetCode: 'EUR' },
      { name: 'bahati', publicName: 'Bahati', assetCode: 'USD' },
    ],
  },
}

export interface SeededBank {
  /** Asset id by code. */
  assets: Record<string, string>
  /** Peer id by asset code. */
  peers: Record<string, string>
  /** Wallet address by customer name. */
  walletAddresses: Record<string, SeededCustomer>
}

export interface SeededCustomer {
  id: string
  address: string
  assetCode: string
  /** Of the key that the wallet address publishes. */
  keyId: string
}

interface IdNode {
  id: string
}

const keyOf = (...parts: string[]) => deriveUuid('seed', ...parts)

async function seedAsset(
  bank: Bank,
  plan: SeedPlan,
  asset: { code: string; scale: number },
): Promise<string> {
  const { admin } = bank
  const found = await admin.graphql<{ assetByCodeAndScale: IdNode | null }>(
    'query FindAsset($code: String!, $scale: UInt8!) { assetByCodeAndScale(code: $code, scale: $scale) { id } }',
    asset,
  )
  const id =
    found.assetByCodeAndScale?.id ??
    (
      await admin.graphql<{ createAsset: { asset: IdNode } }>(
        'mutation CreateAsset($input: CreateAssetInput!) { createAsset(input: $input) { asset { id } } }',
        { input: { ...asset, idempotencyKey: keyOf('asset', asset.code) } },
      )
    ).createAsset.asset.id
  await depositOnce(admin, 'depositAssetLiquidity', 'DepositAssetLiquidityInput', {
    assetId: id,
    id: keyOf('asset-liquidity', bank.settings.operatorTenantId, asset.code),
    amount: plan.assetLiquidity.toString(),
  })
  if (plan.sendingFee)
    await admin.graphql('mutation SetFee($input: SetFeeInput!) { setFee(input: $input) { fee { id } } }', {
      input: {
        assetId: id,
        type: 'SENDING',
        fee: { fixed: plan.sendingFee.fixed.toString(), basisPoints: plan.sendingFee.basisPoints },
        idempotencyKey: keyOf('fee', asset.code),
      },
    })
  return id
}

/** The transfer id follows from what the deposit is for, so a second start deposits nothing. */
async function depositOnce(
  admin: AdminClient,
  mutation: 'depositAssetLiquidity' | 'depositPeerLiquidity',
  type: string,
  input: { id: string; amount: string; assetId?: string; peerId?: string },
): Promise<void> {
  await admin
    .graphql(`mutation Deposit($input: ${type}!) { ${mutation}(input: $input) { success } }`, {
      input: { ...input, idempotencyKey: input.id },
    })
    .catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'DUPLICATE') throw error
    })
}

async function seedPeer(
  bank: Bank,
  other: Bank,
  assetCode: string,
  assetId: string,
  plan: SeedPlan,
): Promise<string> {
  const input = {
    assetId,
    name: `${other.environment.INSTANCE_NAME} (${assetCode})`,
    staticIlpAddress: other.environment.ILP_ADDRESS,
    http: {
      outgoing: {
        endpoint: other.environment.ILP_CONNECTOR_URL,
        authToken: other.settings.peerTokens[assetCode],
      },
      incoming: { authTokens: [bank.settings.peerTokens[assetCode]] },
    },
    ...(plan.maxPacketAmount !== undefined && { maxPacketAmount: plan.maxPacketAmount.toString() }),
    idempotencyKey: keyOf('peer', assetCode),
  }
  const peers = await bank.admin.graphql<{ peers: { edges: { node: IdNode & { asset: IdNode } }[] } }>(
    'query Peers { peers(first: 100) { edges { node { id asset { id } } } } }',
    {},
  )
  const known = peers.peers.edges.find((edge) => edge.node.asset.id === assetId)?.node.id
  const id =
    known ??
    (
      await bank.admin.graphql<{ createPeer: { peer: IdNode } }>(
        'mutation CreatePeer($input: CreatePeerInput!) { createPeer(input: $input) { peer { id } } }',
        { input },
      )
    ).createPeer.peer.id
  await depositOnce(bank.admin, 'depositPeerLiquidity', 'DepositPeerLiquidityInput', {
    peerId: id,
    id: keyOf('peer-liquidity', bank.settings.operatorTenantId, assetCode),
    amount: plan.peerLiquidity.toString(),
  })
  return id
}

export interface Customer {
  name: string
  publicName: string
  assetCode: string
}

/** A customer's wallet address and the key under which clients act for it: `<name>-key`. */
export async function seedCustomer(
  bank: Bank,
  customer: Customer,
  assetId: string,
  key: KeyObject,
): Promise<SeededCustomer> {
  const { admin } = bank
  const address = `${bank.environment.OPEN_PAYMENTS_URL}/${customer.name}`
  const keyId = `${customer.name}-key`
  const { walletAddressByUrl: known } = await admin.graphql<{ walletAddressByUrl: WalletAddressNode | null }>(
    'query Find($url: String!) { walletAddressByUrl(url: $url) { id walletAddressKeys(first: 100) { edges { node { jwk { kid } } } } } }',
    { url: address },
  )
  const id = known?.id ?? (await createWalletAddress(bank, customer, { address, assetId }))
  if (!known?.walletAddressKeys.edges.some(({ node }) => node.jwk.kid === keyId))
    await admin.graphql(
      'mutation Key($input: CreateWalletAddressKeyInput!) { createWalletAddressKey(input: $input) { walletAddressKey { id } } }',
      {
        input: {
          walletAddressId: id,
          jwk: { ...jwkOf(key, keyId) },
          idempotencyKey: keyOf('key', customer.name),
        },
      },
    )
  return { id, address, assetCode: customer.assetCode, keyId }
}

interface WalletAddressNode extends IdNode {
  walletAddressKeys: { edges: { node: { jwk: { kid: string } } }[] }
}

async function createWalletAddress(
  { admin }: Bank,
  { name, publicName }: Customer,
  input: { address: string; assetId: string },
): Promise<string> {
  const created = await admin.graphql<{ createWalletAddress: { walletAddress: IdNode } }>(
    'mutation Create($input: CreateWalletAddressInput!) { createWalletAddress(input: $input) { walletAddress { id } } }',
    {
      input: {
        ...input,
        publicName,
        additionalProperties: [],
        idempotencyKey: keyOf('wallet-address', name),
      },
    },
  )
  return created.createWalletAddress.walletAddress.id
}

/** Assets, liquidity, fees, peers, wallet addresses and keys, by the Admin API alone. Repeating it changes nothing. */
export async function seedBank(bank: Bank, other: Bank, plan: SeedPlan): Promise<SeededBank> {
  const seeded: SeededBank = { assets: {}, peers: {}, walletAddresses: {} }
  for (const asset of plan.assets) {
    const assetId = await seedAsset(bank, plan, asset)
    seeded.assets[asset.code] = assetId
    seeded.peers[asset.code] = await seedPeer(bank, other, asset.code, assetId, plan)
  }
  const key = customerKey(bank.settings)
  for (const customer of plan.customers) {
    const assetId = seeded.assets[customer.assetCode]
    if (!assetId) throw new Error(`${customer.name} has an asset that the plan lacks: ${customer.assetCode}`)
    seeded.walletAddresses[customer.name] = await seedCustomer(bank, customer, assetId, key)
  }
  return seeded
}
