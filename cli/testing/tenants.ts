import assert from 'node:assert/strict'
import { type AdminClient, createAdminClient } from '../../examples/mock-wallet/admin-client.ts'
import { type MockWallet, startMockWallet } from '../../examples/mock-wallet/index.ts'
import { authServiceSecret } from '../../shared/auth-service-client/index.ts'
import {
  createCache,
  createDb,
  createSecretBox,
  signHmac,
  silentLogger,
  systemClock,
  uuidv7,
} from '../../shared/platform/index.ts'
import { createTenant } from '../../shared/tenants/index.ts'
import type { Bank } from '../bank.ts'
import { createJournal, type Journal } from '../journal.ts'

/** Another account servicing entity on a bank's node, with its own wallet, consent page and secrets. */
export interface TestTenant {
  id: string
  admin: AdminClient
  wallet: MockWallet
  journal: Journal
  /** Wallet address by customer name, all in USD. */
  addresses: Record<string, string>
  close(): Promise<void>
}

/** One signed call of the authorization server's tenant API. */
async function mirrorTenant(bank: Bank, body: object): Promise<void> {
  const path = '/tenant'
  const { adminApiSecret, ports } = bank.settings
  const response = await fetch(`http://localhost:${ports.authService}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      signature: signHmac({
        secret: authServiceSecret({ authServiceApiSecret: undefined, adminApiSecret }),
        version: 1,
        timestampMs: Date.now(),
        body: { method: 'POST', path, body },
      }),
    },
    body: JSON.stringify(body),
  })
  assert.equal(response.status, 204, await response.text())
}

export async function startTestTenant(
  bank: Bank,
  input: { database: string; name: string; customers: readonly string[] },
): Promise<TestTenant> {
  const { settings, environment } = bank
  const [id, apiSecret, idpSecret] = [uuidv7(), `api secret of ${input.name}`, `idp secret of ${input.name}`]
  const journal = createJournal(input.name)
  const adminUrl = `http://localhost:${settings.ports.admin}/graphql`
  const wallet = await startMockWallet({
    port: 0,
    webhookSecret: settings.signatureSecret,
    adminUrl,
    tenantId: id,
    adminSecret: apiSecret,
    rates: {},
    consent: {
      bankName: input.name,
      interactionUrl: `http://localhost:${settings.ports.interaction}`,
      idpSecret,
      authServerUrl: `http://localhost:${settings.ports.auth}`,
    },
    onEvent: journal.record,
    log: silentLogger,
  })
  const walletUrl = `http://localhost:${wallet.port}`
  const prefix = `${environment.OPEN_PAYMENTS_URL}/${input.name}`
  const tenant = { id, apiSecret, idpConsentUrl: `${walletUrl}/consent`, idpSecret }
  try {
    await storeTenant(bank, input.database, { ...tenant, prefix, webhookUrl: `${walletUrl}/webhooks` })
    await mirrorTenant(bank, tenant)
    const admin = createAdminClient({ url: adminUrl, tenantId: id, secret: apiSecret })
    const addresses = await openAccounts(admin, prefix, input.customers)
    return { id, admin, wallet, journal, addresses, close: () => wallet.close() }
  } catch (error) {
    await wallet.close()
    throw error
  }
}

async function storeTenant(
  { settings, environment }: Bank,
  database: string,
  tenant: { id: string; apiSecret: string; prefix: string; webhookUrl: string },
): Promise<void> {
  const db = createDb({ connectionString: database, poolSizeMax: 1 })
  const clock = systemClock
  try {
    await createTenant(
      {
        db,
        clock,
        secretBox: createSecretBox(settings.adminApiSecret),
        cache: createCache({ clock, lifeMs: 0 }),
        settings: {
          operatorTenantId: settings.operatorTenantId,
          ilpAddress: environment.ILP_ADDRESS ?? '',
        },
      },
      {
        id: tenant.id,
        apiSecret: tenant.apiSecret,
        settings: [
          { key: 'WALLET_ADDRESS_URL', value: tenant.prefix },
          { key: 'WEBHOOK_URL', value: tenant.webhookUrl },
        ],
      },
    )
  } finally {
    await db.close()
  }
}

async function openAccounts(
  admin: AdminClient,
  prefix: string,
  customers: readonly string[],
): Promise<Record<string, string>> {
  const { createAsset } = await admin.graphql<{ createAsset: { asset: { id: string } } }>(
    'mutation CreateAsset($input: CreateAssetInput!) { createAsset(input: $input) { asset { id } } }',
    { input: { code: 'USD', scale: 2 } },
  )
  const addresses: Record<string, string> = {}
  for (const name of customers) {
    const address = `${prefix}/${name}`
    await admin.graphql(
      'mutation Create($input: CreateWalletAddressInput!) { createWalletAddress(input: $input) { walletAddress { id } } }',
      { input: { assetId: createAsset.asset.id, address, publicName: name, additionalProperties: [] } },
    )
    addresses[name] = address
  }
  return addresses
}
