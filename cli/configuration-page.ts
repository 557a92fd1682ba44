import { connectorConfig } from '../connector/config.ts'
import { adminConfig } from '../functions/admin/config.ts'
import { authConfig } from '../functions/auth/config.ts'
import { autoPeeringConfig } from '../functions/auto-peering/config.ts'
import { migrateConfig } from '../functions/migrate/config.ts'
import { openPaymentsConfig } from '../functions/open-payments/config.ts'
import { paymentsConfig } from '../functions/payments/config.ts'
import { relayConfig } from '../functions/relay/config.ts'
import { webhooksConfig } from '../functions/webhooks/config.ts'
import { isObject, namesOfAbsentFeatures, retiredNames } from '../shared/platform/index.ts'

/** As much of a schema's variable as the page shows. */
export interface ShownVariable {
  name: string
  about: string
  fallback?: unknown
  optional?: boolean
  secret?: boolean
}

/** Every deployable's schema, by the folder it lives in. */
export const deployables: Readonly<Record<string, Readonly<Record<string, ShownVariable>>>> = {
  'functions/admin': adminConfig,
  'functions/open-payments': openPaymentsConfig,
  'functions/auto-peering': autoPeeringConfig,
  'functions/auth': authConfig,
  'functions/webhooks': webhooksConfig,
  'functions/payments': paymentsConfig,
  'functions/relay': relayConfig,
  'functions/migrate': migrateConfig,
  connector: connectorConfig,
}

/** The first pattern that fits says where a variable stands. */
const groups: readonly (readonly [title: string, names: RegExp])[] = [
  ['Process', /^(LOG_LEVEL|NODE_ENV|LOCAL_CACHE_DURATION_MS)$/],
  ['Queues', /^(QUEUE_DRIVER|SQS_|AWS_)/],
  ['Listeners', /(_PORT|_LISTENERS|TRUST_PROXY|CORS_ORIGINS|PUBLIC_HOSTS)$/],
  ['Workers', /_(WORKERS|WORKER_IDLE)$/],
  ['Telemetry', /TELEMETRY/],
  ['Databases', /DATABASE|MANUAL_MIGRATIONS|^REDIS|TIGERBEETLE(_CLUSTER_ID|_REPLICA_ADDRESSES)?$/],
  [
    'Operator and keys',
    /^(OPERATOR_TENANT_ID|ADMIN_API_|DB_ENCRYPTION|KEY_|PRIVATE_KEY|COOKIE_KEY|SIGNATURE_WINDOW)/,
  ],
  [
    'Inside the node',
    /^(CONNECTOR_RPC|CONNECTOR_SHUTDOWN|AUTH_SERVICE|AUTH_SERVER_INTROSPECTION|INTROSPECTION)/,
  ],
  ['Public addresses', /^(OPEN_PAYMENTS_URL|WALLET_ADDRESS_URL|AUTH_SERVER|CARD_SERVICE_URL)/],
  ['Outbound requests', /^EGRESS/],
  ['Webhooks', /^(WEBHOOK|SIGNATURE|SEND_TENANT_WEBHOOKS|CARD_WEBHOOK|POS_WEBHOOK)/],
  ['Wallet addresses', /^(WALLET_ADDRESS|ENABLE_SPSP|WITHDRAWAL)/],
  ['Grants and consent', /^(IDENTITY|.*INTERACTION|WAIT_SECONDS|ACCESS_TOKEN)/],
  ['Idempotency', /^GRAPHQL_IDEMPOTENCY/],
  [
    'Interledger',
    /^(ILP|STREAM|PEER|EXCHANGE|TIGERBEETLE_TWO|ENABLE_AUTO_PEERING|AUTO_PEERING|INSTANCE_NAME|TENANT_PEER)/,
  ],
  ['Payments', /PAYMENT|QUOTE|SLIPPAGE|PARTIAL/],
]

/** Throws when no group fits: a variable of a new kind needs one. */
export function groupOf(name: string): string {
  const group = groups.find(([, names]) => names.test(name))
  if (group === undefined) throw new Error(`${name} belongs to no group of the configuration page`)
  return group[0]
}

/** As somebody would write it into the environment. */
function shownDefault({ fallback, optional }: ShownVariable): string {
  if (fallback === undefined) return optional ? '–' : '**required**'
  if (Array.isArray(fallback)) return fallback.length === 0 ? 'none' : `\`${fallback.join(',')}\``
  if (isObject(fallback)) return `\`${Number(fallback.numerator) / Number(fallback.denominator)}\``
  return `\`${String(fallback)}\``
}

const escaped = (text: string) => text.replaceAll('|', '\\|')

function tableOf(schema: Readonly<Record<string, ShownVariable>>): string {
  const lines = ['| | variable | default | meaning | secret |', '|---|---|---|---|---|']
  const titles = groups.map(([title]) => title)
  for (const title of titles) {
    const variables = Object.values(schema)
      .filter(({ name }) => groupOf(name) === title)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const [index, variable] of variables.entries()) {
      const cells = [
        index === 0 ? `**${title}**` : '',
        `\`${variable.name}\``,
        shownDefault(variable),
        escaped(variable.about),
        variable.secret ? 'yes' : '',
      ]
      lines.push(`| ${cells.join(' | ')} |`)
    }
  }
  return lines.join('\n')
}

const namesTable = (head: string, names: Readonly<Record<string, string>>, code: boolean) =>
  [
    `| variable | ${head} |`,
    '|---|---|',
    ...Object.entries(names).map(([name, text]) => `| \`${name}\` | ${code ? `\`${text}\`` : text} |`),
  ].join('\n')

const introduction = `# Configuration

<!-- Generated from the schemas: npm run docs:configuration. -->

Every deployable reads its variables once, when it starts. One environment may serve them all: each takes what is its own.

- An empty value counts as unset. A dotenv file is read from \`ENV_FILE\`, by default \`.env\` where there is one; what is set in
  the environment already wins.
- Whole numbers are decimal digits, booleans \`true\` or \`false\`, lists are separated by commas.
- What is missing, malformed or contradictory stops the start, and all of it is listed at once. Values of secrets are not shown.
- Names that are retired, that belong to features which this version does not have, or that look like one of these and are not,
  are warned of in the log. Other names are nobody's business here.
- How keys and secrets are changed while the node runs: [key rotation](key-rotation.md).`

/** docs/configuration.md, whole. */
export function configurationPage(): string {
  const parts = [introduction]
  for (const [name, schema] of Object.entries(deployables)) parts.push(`## ${name}`, tableOf(schema))
  parts.push(
    '## Not in this version',
    'Set or not, nothing reads them; a start that finds one says so.',
    namesTable('of', namesOfAbsentFeatures, false),
    '## Retired',
    namesTable('see', retiredNames, true),
  )
  return `${parts.join('\n\n')}\n`
}
