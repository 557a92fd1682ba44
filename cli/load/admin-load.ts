// What the Admin API benchmark asks: signed requests, written beforehand.

import { request } from 'undici'
import { loadAdminConfig } from '../../functions/admin/config.ts'
import { createAsset } from '../../shared/assets/index.ts'
import { createIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { createNodeContext } from '../../shared/node-context/index.ts'
import { signHmac, uuidv7 } from '../../shared/platform/index.ts'
import { createWalletAddress } from '../../shared/wallet-addresses/index.ts'

export interface AdminLoad {
  tenantId: string
  apiSecret: string
  asset: string
  wallets: readonly string[]
  payments: readonly string[]
}

const WALLETS = 64
const PAYMENTS = 4096
const AT_ONCE = 16
const FIELDS = `id url walletAddressId client state expiresAt createdAt metadata
  incomingAmount { value assetCode assetScale } receivedAmount { value assetCode assetScale }`

/** An asset, wallet addresses and open incoming payments of the operator's. */
export async function seedAdmin(environment: Record<string, string>): Promise<AdminLoad> {
  const node = await createNodeContext(loadAdminConfig(environment), { name: 'seed' })
  try {
    const { operatorTenantId: tenantId, adminApiSecret: apiSecret, openPaymentsUrl } = node.settings
    const asset = await createAsset(node, { tenantId, code: 'EUR', scale: 2 })
    const wallets = await Promise.all(
      Array.from({ length: WALLETS }, (_, index) =>
        createWalletAddress(node, {
          tenantId,
          assetId: asset.id,
          address: `${openPaymentsUrl}/wallet-${index}`,
        }),
      ),
    )
    const payments: string[] = []
    for (let made = 0; made < PAYMENTS; made += AT_ONCE) {
      const batch = Array.from({ length: AT_ONCE }, (_, index) =>
        createIncomingPayment(node, {
          tenantId,
          walletAddressId: wallets[(made + index) % WALLETS]?.id ?? '',
          incomingAmount: { value: 500n, assetCode: 'EUR', assetScale: 2 },
          initiatedBy: 'ADMIN',
        }),
      )
      payments.push(...(await Promise.all(batch)).map(({ id }) => id))
    }
    return { tenantId, apiSecret, asset: asset.id, wallets: wallets.map(({ id }) => id), payments }
  } finally {
    await node.close()
  }
}

interface AdminKind {
  name: string
  query: string
  variables(load: AdminLoad, index: number): Record<string, unknown>
  /** Used up by being sent. */
  isOnce: boolean
}

const of = (list: readonly string[], index: number) => list[index % list.length]

export const adminKinds: readonly AdminKind[] = [
  {
    name: 'query: incoming payment',
    query: `query Get($id: String!) { incomingPayment(id: $id) { ${FIELDS} } }`,
    variables: ({ payments }, index) => ({ id: of(payments, index) }),
    isOnce: false,
  },
  {
    name: 'query: 20 of them',
    query: `query List($after: String) { incomingPayments(first: 20, after: $after) { edges { node { ${FIELDS} } } } }`,
    variables: ({ payments }, index) => ({ after: of(payments, index + 100) }),
    isOnce: false,
  },
  {
    name: 'createIncomingPayment',
    query: `mutation Create($input: CreateIncomingPaymentInput!) { createIncomingPayment(input: $input) { payment { ${FIELDS} } } }`,
    variables: ({ wallets }, index) => ({
      input: { walletAddressId: of(wallets, index), idempotencyKey: uuidv7() },
    }),
    isOnce: true,
  },
  {
    name: 'depositAssetLiquidity',
    query:
      'mutation Deposit($input: DepositAssetLiquidityInput!) { depositAssetLiquidity(input: $input) { success } }',
    variables: ({ asset }) => ({
      input: { assetId: asset, id: uuidv7(), amount: '1', idempotencyKey: uuidv7() },
    }),
    isOnce: true,
  },
]

function signed(load: AdminLoad, kind: AdminKind, index: number) {
  const body = { query: kind.query, variables: kind.variables(load, index) }
  const signature = signHmac({ secret: load.apiSecret, version: 1, timestampMs: Date.now(), body })
  const headers = { 'content-type': 'application/json', 'tenant-id': load.tenantId, signature }
  return { headers, body: JSON.stringify(body) }
}

/** Whole HTTP requests, signed now. */
export const writeAdminRequests = (load: AdminLoad, kind: AdminKind, count: number, port: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => {
    const { headers, body } = signed(load, kind, index)
    const head = { host: `localhost:${port}`, ...headers, 'content-length': Buffer.byteLength(body) }
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`)
    return Buffer.from(['POST /graphql HTTP/1.1', ...lines, '', body].join('\r\n'))
  })

/** GraphQL answers 200 whatever became of it: this looks whether a request of the kind does what it should. */
export async function tryAdminRequest(load: AdminLoad, kind: AdminKind, port: number): Promise<void> {
  const response = await request(`http://localhost:${port}/graphql`, {
    method: 'POST',
    ...signed(load, kind, 0),
  })
  const text = await response.body.text()
  const { data, errors } = JSON.parse(text) as { data?: Record<string, unknown>; errors?: unknown }
  if (errors !== undefined || !Object.values(data ?? {})[0]) throw new Error(`${kind.name}: ${text}`)
}
