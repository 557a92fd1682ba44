/** For tests only: the real listener over a real database, with an authorization server that says what the test tells it. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { type Asset, createAsset } from '../../shared/assets/index.ts'
import { jwkOf, signRequest } from '../../shared/http-signatures/index.ts'
import { choosePort } from '../../shared/loopback-ports/index.ts'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { type Environment, type RunningDeployable, uuidv7 } from '../../shared/platform/index.ts'
import {
  type CreateWalletAddressInput,
  createWalletAddress,
  createWalletAddressKey,
  type WalletAddress,
} from '../../shared/wallet-addresses/index.ts'
import { checkAnswer } from './answer-checks.ts'
import { loadOpenPaymentsConfig } from './config.ts'
import type { GrantedAccess, TokenClient } from './introspection.ts'
import { startOpenPayments } from './wiring.ts'

/** What the authorization server says of a token. */
export interface Token {
  access: readonly GrantedAccess[]
  client: TokenClient
  tenant: string
  grant?: string
}

export interface TestClient {
  walletAddress: string
  privateKey: KeyObject
  keyId: string
}

export interface TestNode {
  node: NodeContext
  tenantId: string
  /** What the listener was started with. */
  environment: Environment
  /** `https://localhost:<port>`: the public form. */
  publicUrl: string
  /** Where it really listens. */
  url: string
  asset: Asset
  /** Live tokens by value. */
  tokens: Map<string, Token>
  /** Bodies of introspection requests so far. */
  introspected: unknown[]
  /** Makes introspection fail while true. */
  authIsDown: boolean
  createWallet(path: string, more?: Partial<CreateWalletAddressInput>): Promise<WalletAddress>
  createClient(path: string): Promise<TestClient>
  /** A token for this client, unless told otherwise in this tenant. */
  grant(client: { walletAddress: string }, access: readonly GrantedAccess[], more?: Partial<Token>): string
  close(): Promise<void>
}

const listen = (server: Server, port = 0): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      if (typeof address === 'object' && address) resolve(address.port)
    })
  })

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })

interface Question {
  access_token: string
  access: GrantedAccess[]
}

/** As the authorization server matches: same type, the action or its -all, the same identifier where both name one. */
function answerTo(tokens: ReadonlyMap<string, Token>, { access_token: value, access: [asked] }: Question) {
  const token = tokens.get(value)
  if (!token) return { active: false }
  const access = token.access.filter(
    (item) =>
      item.type === asked?.type &&
      asked.actions.every(
        (action) => item.actions.includes(action) || item.actions.includes(`${action}-all`),
      ) &&
      (item.identifier === undefined ||
        asked.identifier === undefined ||
        item.identifier === asked.identifier),
  )
  const { grant = 'grant', tenant, client } = token
  return { active: true, grant, tenant, access, client }
}

function startIntrospection(test: Pick<TestNode, 'tokens' | 'introspected'>, isDown: () => boolean): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Question | { requests: Question[] }
      const questions = 'requests' in body ? body.requests : [body]
      test.introspected.push(...questions)
      if (isDown()) {
        response.writeHead(500).end()
        return
      }
      const responses = questions.map((question) => answerTo(test.tokens, question))
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify('requests' in body ? { responses } : responses[0]))
    })
  })
}

const secret = () => randomBytes(32).toString('base64')

const ENCRYPTION_SECRET = Buffer.alloc(32, 'sealed by the nodes of this test').toString('base64')

export async function startTestNode(
  databaseUrl: string,
  overrides: Record<string, string> = {},
): Promise<TestNode> {
  const tenantId = uuidv7()
  const port = await choosePort()
  const publicUrl = `https://localhost:${port}`
  const state = { tokens: new Map<string, Token>(), introspected: [] as unknown[], authIsDown: false }
  const introspection = startIntrospection(state, () => state.authIsDown)
  const environment = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    USE_TIGERBEETLE: 'false',
    DATABASE_URL: databaseUrl,
    OPERATOR_TENANT_ID: tenantId,
    ADMIN_API_SECRET: secret(),
    // One for all: nodes of one database open what the others sealed.
    DB_ENCRYPTION_SECRET: ENCRYPTION_SECRET,
    OPEN_PAYMENTS_PORT: String(port),
    OPEN_PAYMENTS_URL: publicUrl,
    WALLET_ADDRESS_URL: `${publicUrl}/.well-known/pay`,
    AUTH_SERVER_GRANT_URL: 'https://auth.example',
    AUTH_SERVER_INTROSPECTION_URL: `http://127.0.0.1:${await listen(introspection)}`,
    ILP_ADDRESS: 'test.bank',
    STREAM_SECRET: secret(),
    // Of this node alone: another secret could not open a key that is stored under the same name.
    KEY_ID: `key-of-${tenantId}`,
    WEBHOOK_URL: 'http://127.0.0.1:9/webhooks',
    EGRESS_ALLOW: 'localhost,127.0.0.0/8,::1',
    EGRESS_ALLOW_HTTP: 'true',
    WALLET_ADDRESS_LOOKUP_TIMEOUT_MS: '400',
    WALLET_ADDRESS_POLLING_FREQUENCY_MS: '10',
    ...overrides,
  }
  let opened: NodeContext | undefined
  let running: RunningDeployable | undefined
  const shut = async () => {
    await running?.close()
    await opened?.close()
    await close(introspection)
  }
  try {
    running = await startOpenPayments(environment)
    const node = await createNodeContext(loadOpenPaymentsConfig(environment), { name: 'test' })
    opened = node
    const asset = await createAsset(node, { tenantId, code: 'USD', scale: 2 })
    return Object.assign(state, {
      node,
      tenantId,
      environment,
      publicUrl,
      url: publicUrl.replace('https:', 'http:'),
      asset,
      createWallet: (path: string, more: Partial<CreateWalletAddressInput> = {}) =>
        createWalletAddress(node, { tenantId, assetId: asset.id, address: `${publicUrl}${path}`, ...more }),
      async createClient(path: string) {
        const { privateKey } = generateKeyPairSync('ed25519')
        const keyId = `key-of${path}`
        const wallet = await this.createWallet(path)
        await createWalletAddressKey(
          node,
          { tenantId },
          {
            walletAddressId: wallet.id,
            jwk: jwkOf(privateKey, keyId),
          },
        )
        return { walletAddress: wallet.address, privateKey, keyId }
      },
      grant(client: { walletAddress: string }, access: readonly GrantedAccess[], more: Partial<Token> = {}) {
        const value = randomBytes(16).toString('hex')
        state.tokens.set(value, {
          access,
          client: { walletAddress: client.walletAddress },
          tenant: tenantId,
          ...more,
        })
        return value
      },
      close: shut,
    })
  } catch (error) {
    await shut()
    throw error
  }
}

export interface RawAnswer {
  status: number
  headers: Headers
  text: string
  /** Parsed where it is JSON. */
  body: { error?: { code: string; description: string; details?: Record<string, unknown> } } & Record<
    string,
    unknown
  >
}

/** Any request; every answer is held against the specification. */
export async function send(
  url: string,
  init: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array<ArrayBuffer> } = {},
): Promise<RawAnswer> {
  const response = await fetch(url, { redirect: 'manual', ...init })
  const text = await response.text()
  const { status, headers } = response
  const contentType = headers.get('content-type') ?? undefined
  checkAnswer(url, { method: init.method ?? 'GET', status, contentType, text })
  const isJson = contentType?.startsWith('application/json') && text !== ''
  return {
    status,
    headers,
    text,
    body: isJson ? (JSON.parse(text) as RawAnswer['body']) : {},
  }
}

export interface SignedRequest {
  method: 'GET' | 'POST'
  url: string
  body?: unknown
  created?: number
  /** What the signature is made for, where that is not what is sent. */
  signed?: { url?: string; body?: unknown }
}

const jsonOf = (body: unknown) => (body === undefined ? undefined : JSON.stringify(body))

/** A request that `client` signs. */
export function sendSigned(
  client: Pick<TestClient, 'privateKey' | 'keyId'>,
  token: string,
  request: SignedRequest,
): Promise<RawAnswer> {
  const { method, url, body, created, signed } = request
  const signedBody = jsonOf(signed?.body ?? body)
  const headers = signRequest({
    method,
    url: signed?.url ?? url,
    headers: { Authorization: `GNAP ${token}`, Accept: 'application/json' },
    privateKey: client.privateKey,
    keyId: client.keyId,
    ...(signedBody !== undefined && { body: signedBody }),
    ...(created !== undefined && { created }),
  })
  const text = jsonOf(body)
  return send(url, { method, headers, ...(text !== undefined && { body: text }) })
}
