/** For tests only: the real Admin API over a real database, and grants written into it. */
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  createDb,
  createSecretBox,
  type DbPool,
  listenOn,
  type SecretBox,
  signHmac,
  silentLogger,
  sql,
  systemClock,
  uuidv7,
} from '../../../shared/platform/index.ts'
import { silentTelemetry } from '../../../shared/telemetry/index.ts'
import { createNonces } from '../nonces.ts'
import { createTenant } from '../tenants/index.ts'
import { buildAdminApp } from './admin-app.ts'

export interface Party {
  tenantId: string
  apiSecret: string
}

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers that they assert about.
  data?: any
  errors?: { message: string; extensions: { code: string; reason?: string } }[]
  text: string
}

export interface GrantSeed {
  state?: 'PENDING' | 'APPROVED'
  reason?: 'ISSUED' | 'REVOKED' | 'REJECTED'
  client?: string
  /** Instead of a client with a wallet address. */
  jwk?: Record<string, unknown>
  access?: { type: string; actions: string[]; identifier?: string; limits?: unknown }[]
  subjects?: string[]
  createdAt?: Date
}

export interface TestAdmin {
  db: DbPool
  secretBox: SecretBox
  url: string
  operator: Party
  newTenant(): Promise<Party>
  newGrant(party: Party, seed?: GrantSeed): Promise<string>
  /** The value of a new token. */
  newToken(grantId: string): Promise<string>
  sign(party: Party, body: unknown, timestampMs?: number): Record<string, string>
  /** Sends these very headers. */
  post(body: unknown, headers: Record<string, string>): Promise<Answer>
  /** One signed request. */
  ask(party: Party, query: string, variables?: Record<string, unknown>): Promise<Answer>
  close(): Promise<void>
}

const newSecret = () => randomBytes(32).toString('base64')

/** `delayMsMax`: authentication takes up to this long, differently each time. */
export async function startTestAdmin(
  database: { connectionString: string; drop(): Promise<void> },
  options: { delayMsMax?: number; introspection?: boolean } = {},
): Promise<TestAdmin> {
  const db = createDb({ connectionString: database.connectionString, poolSizeMax: 10 })
  const secretBox = createSecretBox('key of the secrets at rest')
  const operator = { tenantId: uuidv7(), apiSecret: newSecret() }
  await createTenant({ db, secretBox }, { id: operator.tenantId, apiSecret: operator.apiSecret })
  const { delayMsMax = 0 } = options
  const slowDb: DbPool = {
    ...db,
    maybe: async (map, query) => {
      await delay(Math.random() * delayMsMax)
      return db.maybe(map, query)
    },
  }
  const app = await buildAdminApp(
    {
      db: delayMsMax > 0 ? slowDb : db,
      secretBox,
      clock: systemClock,
      log: silentLogger,
      trustProxy: false,
      telemetry: silentTelemetry,
      signatures: { nonces: createNonces({ db, clock: systemClock }) },
      ready: async () => {
        await db.execute(sql`select 1`)
      },
    },
    { introspection: options.introspection ?? false, signature: { operator, version: 1, ttlSeconds: 30 } },
  )
  const url = `http://localhost:${await listenOn(app, 0)}/graphql`
  let lastMs = 0

  const sign: TestAdmin['sign'] = (party, body, timestampMs) => {
    lastMs = Math.max(Date.now(), lastMs + 1)
    const signature = signHmac({
      secret: party.apiSecret,
      version: 1,
      timestampMs: timestampMs ?? lastMs,
      body,
    })
    return { 'content-type': 'application/json', 'tenant-id': party.tenantId, signature }
  }
  const post: TestAdmin['post'] = async (body, headers) => {
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return { status: response.status, text, ...(isJson && (JSON.parse(text) as object)) }
  }

  return {
    db,
    secretBox,
    url,
    operator,
    async newTenant() {
      const party = { tenantId: uuidv7(), apiSecret: newSecret() }
      await createTenant({ db, secretBox }, { id: party.tenantId, apiSecret: party.apiSecret })
      return party
    },
    newGrant: (party, seed = {}) => insertGrant(db, party.tenantId, seed),
    async newToken(grantId) {
      const value = randomBytes(20).toString('hex').toUpperCase()
      const hash = createHash('sha256').update(value).digest()
      await db.execute(sql`
        insert into access_tokens (id, grant_id, token_hash, expires_at, created_at)
        values (${uuidv7()}, ${grantId}, ${hash}, now() + interval '1 hour', now())`)
      return value
    },
    sign,
    post,
    ask: (party, query, variables = {}) => {
      const body = { query, variables }
      return post(body, sign(party, body))
    },
    async close() {
      await app.close()
      await db.close()
      await database.drop()
    },
  }
}

async function insertGrant(db: DbPool, tenantId: string, seed: GrantSeed): Promise<string> {
  const id = uuidv7()
  const createdAt = seed.createdAt ?? new Date()
  const state = seed.reason ? 'FINALIZED' : (seed.state ?? 'APPROVED')
  const client = seed.jwk ? null : (seed.client ?? 'https://wallet.example/alice')
  const isPending = state === 'PENDING'
  await db.execute(sql`
    insert into grants (id, tenant_id, state, finalization_reason, client, client_jwk, continue_id,
      continue_token_hash, client_name, interact_ref_hash, continued_at, created_at, updated_at)
    values (${id}, ${tenantId}, ${state}, ${seed.reason ?? null}, ${client},
      ${seed.jwk ? JSON.stringify(seed.jwk) : null}::jsonb, ${uuidv7()}, ${randomBytes(32)},
      ${isPending ? 'Alice' : null}, ${isPending ? randomBytes(32) : null}, ${createdAt}, ${createdAt}, ${createdAt})`)
  for (const [position, item] of (seed.access ?? []).entries())
    await db.execute(sql`
      insert into accesses (grant_id, position, type, actions, identifier, limits)
      values (${id}, ${position + 1}, ${item.type}, ${item.actions}::text[], ${item.identifier ?? null},
        ${item.limits === undefined ? null : JSON.stringify(item.limits)}::jsonb)`)
  for (const [position, subject] of (seed.subjects ?? []).entries())
    await db.execute(sql`
      insert into subjects (grant_id, position, sub_id, sub_id_format)
      values (${id}, ${position + 1}, ${subject}, 'uri')`)
  return id
}
