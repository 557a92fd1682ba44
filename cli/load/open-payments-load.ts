// What the Open Payments benchmark asks about: wallet addresses, clients with keys and tokens, incoming payments; and the requests.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { request } from 'undici'
import { loadOpenPaymentsConfig } from '../../functions/open-payments/config.ts'
import { createAsset } from '../../shared/assets/index.ts'
import { jwkOf, signRequest } from '../../shared/http-signatures/index.ts'
import { createIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { createNodeContext } from '../../shared/node-context/index.ts'
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
  /** Ids of incoming payments, open and without credits. */
  payments: readonly string[]
}

const WALLETS = 64
const CLIENTS = 32
const TOKENS_PER_CLIENT = 8
const PAYMENTS = 4096
const AT_ONCE = 16

/** Calls `work` with 0 … count-1, some at a time. */
async function forEachIndex(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
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
    const createPayment = async (ctx: typeof node, index: number): Promise<string> => {
      const payment = await createIncomingPayment(ctx, {
        tenantId,
        walletAddress: wallets[index % wallets.length] as WalletAddress,
        client: (clients[index % clients.length] as LoadClient).walletAddress,
        initiatedBy: 'OPEN_PAYMENTS',
        incomingAmount: { value: 1000n + BigInt(index), assetCode: asset.code, assetScale: asset.scale },
        metadata: { description: `invoice ${index}` },
      })
      return payment.id
    }
    const payments: string[] = []
    // One transaction: a commit waits for the disk.
    await node.db.tx(async (db) => {
      for (let index = 0; index < PAYMENTS; index++)
        payments.push(await createPayment({ ...node, db: { ...node.db, ...db } }, index))
    })
    return { tenantId, wallets, clients, payments }
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
