/** For tests only: the real Admin API over a real database, asked field by field. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type GraphQLField, type GraphQLSchema, getNamedType, isInterfaceType, isObjectType } from 'graphql'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { type Environment, signHmac, uuidv7 } from '../../shared/platform/index.ts'
import { createTenant } from '../../shared/tenants/index.ts'
import { buildAdminSchema } from './app.ts'
import { loadAdminConfig } from './config.ts'
import { startAdmin } from './wiring.ts'

const PUBLIC_URL = 'https://bank.example'
const DEPTH_MAX = 4

export interface Party {
  tenantId: string
  apiSecret: string
  /** Below which its wallet addresses lie. */
  prefix: string
}

export interface Answer {
  status: number
  data?: Record<string, unknown> | null
  errors?: { message: string; extensions: { code: string; reason?: string } }[]
}

export interface TestAdmin {
  /** The GraphQL endpoint. */
  url: string
  node: NodeContext
  schema: GraphQLSchema
  operator: Party
  /** What the listener was started with, for more of them over the same database. */
  environment: Environment
  newTenant(name: string): Promise<Party>
  /** One signed request; to another listener, where `port` says so. */
  ask(party: Party, query: string, variables?: Record<string, unknown>, port?: number): Promise<Answer>
  /** Runs one root field, with everything selected that its type has; what it answers is `data.answer`. */
  call(party: Party, name: string, args: Record<string, unknown>, port?: number): Promise<Answer>
  /** As {@link call}, for what must succeed. */
  succeed(party: Party, name: string, args: Record<string, unknown>): Promise<Record<string, unknown>>
  close(): Promise<void>
}

export const newSecret = () => randomBytes(32).toString('base64')

export const rootFields = (schema: GraphQLSchema): Record<string, GraphQLField<unknown, unknown>> => ({
  ...schema.getQueryType()?.getFields(),
  ...schema.getMutationType()?.getFields(),
})

/** Everything that can be asked about a type, so many levels down. */
function selectionOf(type: unknown, depth = DEPTH_MAX): string {
  if (!isObjectType(type) && !isInterfaceType(type)) return ''
  const parts = Object.values(type.getFields()).flatMap((field) => {
    const below = getNamedType(field.type)
    if (!isObjectType(below) && !isInterfaceType(below)) return [field.name]
    return depth > 0 ? [`${field.name} ${selectionOf(below, depth - 1)}`] : []
  })
  return `{ ${parts.join(' ') || '__typename'} }`
}

/** `database` is a resource database of the test's own; closing drops it. */
export async function startTestAdmin(
  database: { connectionString: string; drop(): Promise<void> },
  more: Environment = {},
): Promise<TestAdmin> {
  const operator = { tenantId: uuidv7(), apiSecret: newSecret(), prefix: PUBLIC_URL }
  const environment = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    USE_TIGERBEETLE: 'false',
    REDIS_URL: 'none',
    DATABASE_URL: database.connectionString,
    OPERATOR_TENANT_ID: operator.tenantId,
    ADMIN_API_SECRET: operator.apiSecret,
    ADMIN_PORT: '0',
    OPEN_PAYMENTS_URL: PUBLIC_URL,
    WALLET_ADDRESS_URL: `${PUBLIC_URL}/.well-known/pay`,
    AUTH_SERVER_GRANT_URL: 'https://auth.example',
    ILP_ADDRESS: 'test.bank',
    STREAM_SECRET: newSecret(),
    KEY_ID: 'node-key',
    WEBHOOK_URL: 'http://127.0.0.1:9/webhooks',
    AUTH_SERVICE_API_URL: 'http://127.0.0.1:9',
    ...more,
  }
  const running = await startAdmin(environment)
  const node = await createNodeContext(loadAdminConfig(environment), { name: 'test' })
  const schema = buildAdminSchema()
  const fields = rootFields(schema)
  let lastMs = 0

  const ask: TestAdmin['ask'] = async (party, query, variables = {}, port = running.ports.admin) => {
    const body = { query, variables }
    lastMs = Math.max(Date.now(), lastMs + 1)
    const response = await fetch(`http://localhost:${port}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'tenant-id': party.tenantId,
        signature: signHmac({ secret: party.apiSecret, version: 1, timestampMs: lastMs, body }),
      },
      body: JSON.stringify(body),
    })
    const isJson = response.headers.get('content-type')?.includes('json')
    return { status: response.status, ...(isJson && ((await response.json()) as object)) }
  }
  const call: TestAdmin['call'] = (party, name, args, port) => {
    const field = fields[name]
    assert.ok(field, name)
    const used = field.args.filter((arg) => arg.name in args)
    const declared = used.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ')
    const passed = used.map((arg) => `${arg.name}: $${arg.name}`).join(', ')
    const kind = schema.getMutationType()?.getFields()[name] ? 'mutation' : 'query'
    const text = `${kind} Call${declared && `(${declared})`} { answer: ${name}${passed && `(${passed})`} ${selectionOf(getNamedType(field.type))} }`
    return ask(party, text, args, port)
  }
  return {
    url: `http://localhost:${running.ports.admin}/graphql`,
    node,
    schema,
    operator,
    environment,
    async newTenant(name) {
      const prefix = `${PUBLIC_URL}/${name}`
      const apiSecret = newSecret()
      const settings = [{ key: 'WALLET_ADDRESS_URL', value: prefix }] as const
      const { id } = await createTenant(node, { apiSecret, settings: [...settings] })
      return { tenantId: id, apiSecret, prefix }
    },
    ask,
    call,
    async succeed(party, name, args) {
      const { data, errors } = await call(party, name, args)
      assert.equal(errors, undefined, `${name}: ${JSON.stringify(errors)}`)
      return data?.answer as Record<string, unknown>
    },
    async close() {
      await running.close()
      await node.close()
      await database.drop()
    },
  }
}
