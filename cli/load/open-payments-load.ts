// What the Open Payments benchmark asks about: wallet addresses, clients with keys and tokens, incoming payments; and the requests.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { request } from 'undici'
import { loadOpenPaymentsConfig } from '../../functions/open-payments/config.ts'
import { createAsset } from '../../shared/assets/index.ts'
import { jwkOf, signRequest } from '../../shared/http-signatures/index.ts'
import {
  createIncomingPayment,
  type IncomingPayment,
  incomingPaymentAccount,
} from '../../shared/incoming-payments/index.ts'
import { isSuccess, settlementAccountId, transferCode } from '../../shared/ledger/index.ts'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import {
  createWalletAddress,
  createWalletAddressKey,
  type WalletAddress,
} from '../../shared/wallet-addresses/index.ts'

interface LoadClient {
  walletAddress: string
  keyId: string
  privateKey: KeyObject
  tokens: string[]
}

export interface OpenPaymentsLoad {
  tenantId: string
  wallets: readonly WalletAddress[]
  clients: readonly LoadClient[]
  /** Ids of incoming payments. All are open; every other one has received something. */
  payments: readonly string[]
}

const WALLETS = 64
const CLIENTS = 32
const TOKENS_PER_CLIENT = 8
const PAYMENTS = 4096
const AT_ONCE = 16
const CREDITS_AT_ONCE = 500

/** Calls `work` with 0 … count-1, some at a time. */
async function forEachIndex(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function credit({ ledger }: NodeContext, payments: readonly IncomingPayment[]): Promise<void> {
  const created = await ledger.createAccounts(payments.map(incomingPaymentAccount))
  const posted = await ledger.createTransfers(
    payments.map(({ id, asset }) => ({
      id: uuidv7(),
      kind: 'posted',
      debitAccountId: settlementAccountId(asset.ledger),
      creditAccountId: id,
      ledger: asset.ledger,
      code: transferCode.deposit,
      amount: 700n,
    })),
  )
  if (![...created, ...posted].every(isSuccess)) throw new Error('not every payment could be credited')
}

/** Fills the databases of a node whose `environment` this is. Tokens come later: auth gives them. */
export async function seedOpenPayments(environment: Record<string, string>): Promise<OpenPaymentsLoad> {
  const node = await createNodeContext(loadOpenPaymentsConfig(environment), { name: 'bench' })
  try {
    const tenantId = node.settings.operatorTenantId
    const base = environment.OPEN_PAYMENTS_URL
    const asset = await createAsset(node, { tenantId, code: 'USD', scale: 2 })
    const wallets: WalletAddress[] = []
    await forEachIndex(WALLETS, async (index) => {
      const address = `${base}/people/person-${index}`
      wallets.push(
        await createWalletAddress(node, {
          tenantId,
          assetId: asset.id,
          address,
          publicName: `Person ${index}`,
        }),
      )
    })
    const clients: LoadClient[] = []
    await forEachIndex(CLIENTS, async (index) => {
      const { privateKey } = generateKeyPairSync('ed25519')
      const address = `${base}/apps/app-${index}`
      const wallet = await createWalletAddress(node, { tenantId, assetId: asset.id, address })
      const keyId = `key-of-app-${index}`
      const jwk = jwkOf(privateKey, keyId)
      await createWalletAddressKey(node, { tenantId }, { walletAddressId: wallet.id, jwk })
      clients.push({ walletAddress: wallet.address, keyId, privateKey, tokens: [] })
    })
    const createPayment = (ctx: typeof node, index: number) =>
      createIncomingPayment(ctx, {
        tenantId,
        walletAddress: wallets[index % wallets.length] as WalletAddress,
        client: (clients[index % clients.length] as LoadClient).walletAddress,
        initiatedBy: 'OPEN_PAYMENTS',
        incomingAmount: { value: 1000n + BigInt(index), assetCode: asset.code, assetScale: asset.scale },
        metadata: { description: `invoice ${index}` },
      })
    const payments: IncomingPayment[] = []
    // One transaction: a commit waits for the disk.
    await node.db.tx(async (db) => {
      for (let index = 0; index < PAYMENTS; index++)
        payments.push(await createPayment({ ...node, db: { ...node.db, ...db } }, index))
    })
    const credited = payments.filter((_, index) => index % 2 === 0)
    for (let from = 0; from < credited.length; from += CREDITS_AT_ONCE)
      await credit(node, credited.slice(from, from + CREDITS_AT_ONCE))
    return { tenantId, wallets, clients, payments: payments.map(({ id }) => id) }
  } finally {
    await node.close()
  }
}

const GRANT_ACCESS = [{ type: 'incoming-payment', actions: ['create', 'read-all', 'list', 'complete'] }]

interface Signed {
  headers: Record<string, string>
  body?: string
}

function signedGrant(client: LoadClient, url: string): Required<Signed> {
  const body = JSON.stringify({ client: client.walletAddress, access_token: { access: GRANT_ACCESS } })
  const { privateKey, keyId } = client
  return { headers: signRequest({ method: 'POST', url, body, privateKey, keyId }), body }
}

/** Asks the authorization server for every client's tokens, as clients do. */
export async function fetchTokens(load: OpenPaymentsLoad, authUrl: string): Promise<void> {
  const url = `${authUrl}/${load.tenantId}`
  await forEachIndex(load.clients.length * TOKENS_PER_CLIENT, async (index) => {
    const client = load.clients[index % load.clients.length] as LoadClient
    const { headers, body } = signedGrant(client, url)
    const answer = await request(url, { method: 'POST', headers, body })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`a grant was answered ${answer.statusCode}: ${text}`)
    const { access_token: token } = JSON.parse(text) as { access_token: { value: string } }
    client.tokens.push(token.value)
  })
}

export interface LoadKind {
  name: string
  server: 'openPayments' | 'auth'
  expectedStatus: number
  /** Signed now: a signature is good for some minutes. */
  requests(base: string): Uint8Array[]
}

function rawRequest(method: string, url: string, { headers, body = '' }: Signed): Uint8Array {
  const { host, pathname } = new URL(url)
  const lines = Object.entries({ Host: host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n${body}`, 'utf8')
}

const json = { Accept: 'application/json' }

/** What is measured. Neighbouring requests are about different payments, and where they are signed of different clients and tokens. */
export function loadKinds(load: OpenPaymentsLoad): LoadKind[] {
  const { tenantId, wallets, clients, payments } = load
  const paymentUrl = (base: string, id: string) => `${base}/${tenantId}/incoming-payments/${id}`
  const signedGet = (url: string, index: number): Uint8Array => {
    const client = clients[index % clients.length] as LoadClient
    const token = client.tokens[Math.floor(index / clients.length) % client.tokens.length]
    const { privateKey, keyId } = client
    const headers = signRequest({
      method: 'GET',
      url,
      headers: { ...json, Authorization: `GNAP ${token}` },
      privateKey,
      keyId,
    })
    return rawRequest('GET', url, { headers })
  }
  return [
    {
      name: 'incoming payment, signed',
      server: 'openPayments',
      expectedStatus: 200,
      requests: (base) => payments.map((id, index) => signedGet(paymentUrl(base, id), index)),
    },
    {
      name: 'incoming payment, public',
      server: 'openPayments',
      expectedStatus: 200,
      requests: (base) => payments.map((id) => rawRequest('GET', paymentUrl(base, id), { headers: json })),
    },
    {
      name: 'wallet address',
      server: 'openPayments',
      expectedStatus: 200,
      requests: (base) =>
        wallets.map(({ address }) =>
          rawRequest('GET', `${base}${new URL(address).pathname}`, { headers: json }),
        ),
    },
    {
      name: 'grant, no interaction',
      server: 'auth',
      expectedStatus: 200,
      requests: (base) =>
        clients.map((client) => {
          const url = `${base}/${tenantId}`
          return rawRequest('POST', url, signedGrant(client, url))
        }),
    },
  ]
}
