import { createAsset, depositAssetLiquidity } from '../assets/index.ts'
import type { IncomingPaymentSettings } from '../incoming-payments/index.ts'
import { createPostgresLedger, type Ledger } from '../ledger/index.ts'
import {
  type Cache,
  createCache,
  createDb,
  createSecretBox,
  type DbPool,
  deriveId,
  type Logger,
  type SecretBox,
  silentLogger,
  uuidv7,
} from '../platform/index.ts'
import { ensureOperatorTenant } from '../tenants/index.ts'
import { createWalletAddress } from '../wallet-addresses/index.ts'
import { type TestClock, testClock } from './clock.ts'
import { createTestDatabase } from './database.ts'

/** What the resource side's use cases stand on, with real databases, a clock that stands still and nothing cached for long. */
export interface TestNode {
  db: DbPool
  ledger: Ledger
  clock: TestClock
  cache: Cache
  secretBox: SecretBox
  log: Logger
  settings: IncomingPaymentSettings & {
    walletAddressLookupTimeoutMs: number
    walletAddressPollingFrequencyMs: number
    walletAddressDeactivationGraceMs: number
  }
  close(): Promise<void>
}

/** A node of its own for one test file, with its operator tenant. */
export async function createTestNode(): Promise<TestNode> {
  const database = await createTestDatabase('resources')
  const db = createDb({ connectionString: database.connectionString, poolSizeMax: 16 })
  const clock = testClock()
  const ledger = createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    clock,
    poolSizeMax: 4,
    sweepIntervalMs: 0,
  })
  const operatorTenantId = deriveId('test-operator')
  const node = {
    db,
    ledger,
    clock,
    cache: createCache({ clock, lifeMs: 1_000 }),
    secretBox: createSecretBox('test node'),
    log: silentLogger,
    settings: {
      operatorTenantId,
      openPaymentsUrl: 'https://node.example',
      ilpAddress: 'test.node',
      webhookUrl: 'http://wallet.example/webhooks',
      webhookTimeoutMs: 2_000,
      webhookSignatureVersion: 1,
      sendTenantWebhooksToOperator: false,
      incomingPaymentExpiryMaxMs: 2_592_000_000,
      streamSecret: Buffer.alloc(32, 7),
      walletAddressLookupTimeoutMs: 200,
      walletAddressPollingFrequencyMs: 20,
      walletAddressDeactivationGraceMs: 86_400_000,
    },
  }
  await ensureOperatorTenant(node, { id: operatorTenantId, apiSecret: 'operator secret' })
  return {
    ...node,
    async close() {
      await ledger.close()
      await db.close()
      await database.drop()
    },
  }
}

/** An asset of the operator with liquidity, and an active wallet address in it. */
export async function createTestAccount(
  node: TestNode,
  options: { code?: string; scale?: number; liquidity?: bigint; path?: string } = {},
) {
  const { operatorTenantId: tenantId } = node.settings
  const { code = 'USD', scale = 2, liquidity = 1_000_000n } = options
  const asset = await createAsset(node, { tenantId, code, scale })
  if (liquidity > 0n)
    await depositAssetLiquidity(node, 'all', { assetId: asset.id, transferId: uuidv7(), amount: liquidity })
  const walletAddress = await createWalletAddress(node, {
    tenantId,
    assetId: asset.id,
    address: options.path ?? `/${code.toLowerCase()}-${scale}`,
  })
  return { asset, walletAddress }
}
