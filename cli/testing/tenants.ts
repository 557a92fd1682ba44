import { type AdminClient, createAdminClient } from '../../examples/mock-wallet/admin-client.ts'
import { type MockWallet, startMockWallet } from '../../examples/mock-wallet/index.ts'
import { silentLogger, uuidv7 } from '../../shared/platform/index.ts'
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

export async function startTestTenant(
  bank: Bank,
  input: { name: string; customers: readonly string[] },
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
  try {
    await createTenant(bank, adminUrl, {
      id,
      apiSecret,
      idpConsentUrl: `${walletUrl}/consent`,
      idpSecret,
      settings: [
        { key: 'WALLET_ADDRESS_URL', value: prefix },
        { key: 'WEBHOOK_URL', value: `${walletUrl}/webhooks` },
      ],
    })
    const admin = createAdminClient({ url: adminUrl, tenantId: id, secret: apiSecret })
    const addresses = await openAccounts(admin, prefix, input.customers)
    return { id, admin, wallet, journal, addresses, close: () => wallet.close() }
  } catch (error) {
    await wallet.close()
    throw error
  }
}

/** As the bank's operator does it: the authorization server has the tenant when this answers. */
async function createTenant({ settings }: Bank, url: string, input: object): Promise<void> {
  const operator = createAdminClient({
    url,
    tenantId: settings.operatorTenantId,
    secret: settings.adminApiSecret,
  })
  await operator.graphql(
    'mutation Create($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id } } }',
    { input },
  )
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
