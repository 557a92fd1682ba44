/** For tests only: the real authorization server over a real database, and a wallet that publishes keys. */
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { request } from 'undici'
import { type Jwk, jwkOf, signRequest } from '../../shared/http-signatures/index.ts'
import { choosePort } from '../../shared/loopback-ports/index.ts'
import { type Environment, type RunningDeployable, signHmac } from '../../shared/platform/index.ts'
import { checkAnswer } from './answer-checks.ts'
import { startAuth } from './wiring.ts'

export interface TestClient {
  /** Public form, https. */
  walletAddress: string
  privateKey: KeyObject
  jwk: Jwk
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers that they assert about.
  json: any
}

/** Keeps cookies, follows nothing by itself. */
export interface Browser {
  /** By name; a test may put others in. */
  cookies: Map<string, string>
  visit(url: string, headers?: Record<string, string>): Promise<Answer>
}

export interface TestAuth {
  running: RunningDeployable
  tenantId: string
  /** `https://localhost:<port>`, as clients are told. */
  publicUrl: string
  /** `http://localhost:<port>`, where it really listens. */
  url: string
  /** Requests for keys so far. */
  keyRequests: string[]
  createClient(name?: string, publicName?: string): TestClient
  /** What the wallet serves at a path; text as it is, `undefined`: not found. */
  publish(path: string, document: unknown): void
  /** Signed by the client unless `headers` says otherwise. Every answer is held against the specification. */
  send(input: {
    client?: TestClient
    method?: string
    url: string
    token?: string
    body?: unknown
    headers?: Record<string, string | undefined>
  }): Promise<Answer>
  introspect(body: unknown): Promise<Answer>
  /** As an identity provider; by default the operator's. */
  idp(method: 'GET' | 'POST', path: string, secret?: string | null): Promise<Answer>
  createBrowser(): Browser
  service(method: string, path: string, body: unknown, secret?: string): Promise<Answer>
  close(): Promise<void>
}

export const ADMIN_SECRET = 'the-admin-secret-of-this-test'
export const IDP_SECRET = 'the-idp-secret-of-this-test'
export const SERVICE_SECRET = 'the-service-secret-of-this-test'

const listen = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (typeof address === 'object' && address) resolve(address.port)
    })
  })

/** Not `fetch`, which does not let a test send whatever headers it likes. */
async function exchange(
  url: string,
  input: { method: string; headers: Record<string, string | undefined>; body?: string },
): Promise<Answer> {
  const headers = Object.fromEntries(Object.entries(input.headers).filter(([, value]) => value !== undefined))
  const response = await request(url, {
    method: input.method as 'GET',
    headers: headers as Record<string, string>,
    ...(input.body !== undefined && { body: input.body }),
  })
  const text = await response.body.text()
  const isJson = String(response.headers['content-type']).startsWith('application/json')
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  }
}

const cookiesOf = (answer: Answer): string[] => [answer.headers['set-cookie'] ?? []].flat()

function createBrowser(): Browser {
  const cookies = new Map<string, string>()
  return {
    cookies,
    async visit(url, headers = {}) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const answer = await exchange(url.replace(/^https:/, 'http:'), {
        method: 'GET',
        headers: { ...(cookie !== '' && { cookie }), ...headers },
      })
      for (const text of cookiesOf(answer)) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(text) ?? []
        cookies.set(name, value)
      }
      return answer
    },
  }
}

const lowerCase = (headers: Record<string, string | undefined>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/** What the environment of a test says; everything required, loopback allowed. */
export const testEnvironment = (connectionString: string, port: number, tenantId: string): Environment => ({
  LOG_LEVEL: 'silent',
  AUTH_DATABASE_URL: connectionString,
  AUTH_PORT: String(port),
  INTROSPECTION_PORT: '0',
  INTERACTION_PORT: '0',
  SERVICE_API_PORT: '0',
  ADMIN_PORT: '0',
  AUTH_SERVER_URL: `https://localhost:${port}`,
  ADMIN_API_SECRET: ADMIN_SECRET,
  AUTH_SERVICE_API_SECRET: SERVICE_SECRET,
  OPERATOR_TENANT_ID: tenantId,
  IDENTITY_SERVER_URL: 'https://idp.example/consent',
  IDENTITY_SERVER_SECRET: IDP_SECRET,
  COOKIE_KEY: 'cookie-key',
  WAIT_SECONDS: '0',
  REDIS_URL: 'none',
  EGRESS_ALLOW: 'localhost,127.0.0.0/8,::1',
  EGRESS_ALLOW_HTTP: 'true',
})

export async function startTestAuth(connectionString: string, more: Environment = {}): Promise<TestAuth> {
  const documents = new Map<string, unknown>()
  const keyRequests: string[] = []
  const wallet = createServer((asked, response) => {
    const { pathname } = new URL(asked.url ?? '/', 'http://wallet')
    keyRequests.push(pathname)
    const document = documents.get(pathname)
    const text = typeof document === 'string' ? document : JSON.stringify(document)
    if (text === undefined) response.writeHead(404).end()
    else response.setHeader('content-type', 'application/json').end(text)
  })
  const walletPort = await listen(wallet)
  const tenantId = randomUUID()
  const port = await choosePort()
  const running = await startAuth({ ...testEnvironment(connectionString, port, tenantId), ...more })
  const url = `http://localhost:${port}`

  return {
    running,
    tenantId,
    publicUrl: `https://localhost:${port}`,
    url,
    keyRequests,
    createClient(name = randomUUID(), publicName = `Shop ${name}`) {
      const { privateKey } = generateKeyPairSync('ed25519')
      const jwk = jwkOf(privateKey, `key-of-${name}`)
      documents.set(`/${name}/jwks.json`, { keys: [jwk] })
      documents.set(`/${name}`, { publicName })
      return { walletAddress: `https://localhost:${walletPort}/${name}`, privateKey, jwk }
    },
    publish: (path, document) => void documents.set(path, document),
    async send({ client, method = 'POST', token, body, headers, ...input }) {
      const target = input.url.replace(/^https:/, 'http:')
      const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
      const plain = {
        ...(text !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `GNAP ${token}` }),
      }
      const signed = client
        ? signRequest({
            method,
            url: target,
            headers: token === undefined ? {} : { Authorization: `GNAP ${token}` },
            ...(text !== undefined && { body: text }),
            privateKey: client.privateKey,
            keyId: client.jwk.kid,
          })
        : plain
      const answer = await exchange(target, {
        method,
        headers: { ...lowerCase(signed), ...lowerCase(headers ?? {}) },
        ...(text !== undefined && { body: text }),
      })
      if (target.startsWith(`${url}/`)) checkAnswer(target, method, answer)
      return answer
    },
    async introspect(body) {
      return exchange(`http://localhost:${running.ports.introspection}/`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
    },
    async idp(method, path, secret = IDP_SECRET) {
      return exchange(`http://localhost:${running.ports.interaction}${path}`, {
        method,
        headers: secret === null ? {} : { 'x-idp-secret': secret },
      })
    },
    createBrowser,
    async service(method, path, body, secret = SERVICE_SECRET) {
      const signature = signHmac({
        secret,
        version: 1,
        timestampMs: Date.now(),
        body: { method, path, body: body ?? null },
      })
      return exchange(`http://localhost:${running.ports.service}${path}`, {
        method,
        headers: { 'content-type': 'application/json', signature },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
    },
    async close() {
      await running.close()
      wallet.closeAllConnections()
      await new Promise((resolve) => wallet.close(resolve))
    },
  }
}
