// One installation: everything that its operator decides. Read from a JSON file on top of a profile; what is wrong with it is said
// all at once.
import { readFileSync } from 'node:fs'
import project from '../../package.json' with { type: 'json' }
import { everyVariable, lambdaFunctions, type Role, roles, secretVariables, variablesOf } from './roles.ts'

export interface Domain {
  /** A public host of this installation. */
  host: string
  /** Its certificate; without one, it is made and proven in the hosted zone. */
  certificateArn?: string
  /** Where its address is written. Without one the operator points the name at the address that the stack puts out. */
  hostedZone?: { id: string; name: string }
}

export interface ContainerImageSource {
  /** Repository of this account's registry; or the whole name of an image elsewhere. */
  ecrRepository?: string
  tag?: string
  uri?: string
}

export interface FunctionSettings {
  memoryMb?: number
  timeoutSeconds?: number
  /** The most sandboxes at the same time, and with the size of their pools the most connections; 0 stops it; `none`: no limit. */
  reservedConcurrency?: number | 'none'
}

export interface PrivateDestination {
  cidr: string
  port: number
  why: string
}

export interface UpesiConfig {
  /** Prefix of the stacks' names; several installations in one account have several. */
  name: string
  /** `httpApi`: HTTP APIs with domains of their own. `functionUrl`: the functions' own addresses, which are then the public ones. */
  front: 'httpApi' | 'functionUrl'
  /** What carries work: with `postgres` workers are containers. */
  queue: 'sqs' | 'postgres'
  workers: 'lambda' | 'containers'
  ledger: 'postgres' | 'tigerbeetle'
  /** Valkey for several connectors; one alone needs none. */
  cache: boolean
  urls: {
    openPayments: string
    auth: string
    walletAddress: string
    /** Where peers post packets; without it nobody can peer with this node. */
    ilp?: string
    autoPeering?: string
  }
  domains: Domain[]
  network: {
    azCount: number
    natGateways: number
    /** Endpoints of AWS within the network, so that calls to them need no NAT. */
    interfaceEndpoints: boolean
    /** Who may call the Admin APIs and the identity provider's, besides what has the client security group. */
    clientCidrs: string[]
    /** Private networks that the node calls, such as the wallet's; no other is reached. */
    privateDestinations: PrivateDestination[]
  }
  database: {
    capacityMin: number
    capacityMax: number
    readers: number
    backupDays: number
    /** `own`: a cluster for the authorization server alone, with a login of its own. */
    authCluster: 'shared' | 'own'
    deletionProtection: boolean
  }
  functions: {
    defaults: FunctionSettings
    /** By the function's id. */
    each: Record<string, FunctionSettings>
  }
  images: { main: ContainerImageSource; connector: ContainerImageSource }
  connector: { count: number; cpu: number; memoryMb: number }
  tigerbeetle: {
    replicas: 3 | 6
    instanceType: string
    volumeGb: number
    clusterId: string
    /** An archive of the operator's with the `tigerbeetle` program for arm64. */
    binary: { bucket: string; key: string; sha256: string }
    /** True for the first deployment: empty volumes are formatted. Afterwards false: a replica that lost its data recovers. */
    format: boolean
  }
  alarms: { email?: string; queueAgeSeconds: number }
  logDays: number
  /** Variables of docs/configuration.md, each given to the roles that read it. Names of secrets belong to `secrets`. */
  environment: Record<string, string>
  /** The same for one role: what stands here wins. */
  environmentOf: Partial<Record<Role, Record<string, string>>>
  /** Variables that come from Secrets Manager: ARN, or ARN#key of a JSON secret. Those that a node must have are made if missing. */
  secrets: Record<string, string>
  /** Changed when the value of a secret has changed: everything that runs starts anew and reads it. */
  secretsRevision: string
}

const shared = {
  name: 'Upesi',
  front: 'httpApi',
  queue: 'sqs',
  workers: 'lambda',
  domains: [],
  functions: { defaults: { memoryMb: 1024, timeoutSeconds: 29, reservedConcurrency: 20 }, each: {} },
  images: {
    main: { ecrRepository: 'upesi', tag: project.version },
    connector: { ecrRepository: 'upesi-connector', tag: project.version },
  },
  tigerbeetle: {
    replicas: 6,
    instanceType: 'm7g.xlarge',
    volumeGb: 200,
    clusterId: '0',
    binary: { bucket: '', key: '', sha256: '' },
    format: false,
  },
  alarms: { queueAgeSeconds: 300 },
  logDays: 90,
  environment: {},
  environmentOf: {},
  secrets: {},
  secretsRevision: '1',
} satisfies Partial<UpesiConfig>

/** What is not said in the file. `small`: the ledger in Postgres, one NAT, one connector. `full`: TigerBeetle, three zones. */
const profiles: Record<string, Omit<UpesiConfig, 'urls'>> = {
  small: {
    ...shared,
    ledger: 'postgres',
    cache: false,
    network: {
      azCount: 2,
      natGateways: 1,
      interfaceEndpoints: false,
      clientCidrs: [],
      privateDestinations: [],
    },
    database: {
      capacityMin: 0.5,
      capacityMax: 4,
      readers: 0,
      backupDays: 7,
      authCluster: 'shared',
      deletionProtection: true,
    },
    connector: { count: 1, cpu: 512, memoryMb: 1024 },
  },
  full: {
    ...shared,
    ledger: 'tigerbeetle',
    cache: true,
    network: {
      azCount: 3,
      natGateways: 3,
      interfaceEndpoints: true,
      clientCidrs: [],
      privateDestinations: [],
    },
    database: {
      capacityMin: 2,
      capacityMax: 64,
      readers: 1,
      backupDays: 35,
      authCluster: 'own',
      deletionProtection: true,
    },
    connector: { count: 2, cpu: 2048, memoryMb: 4096 },
  },
}

export class ConfigProblems extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(
      `The configuration of the installation is not valid:\n${problems.map((one) => `- ${one}`).join('\n')}`,
    )
    this.problems = problems
  }
}

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Maps of free names, which a profile does not have to know. */
const OPEN = /^(environment|environmentOf(\..+)?|secrets|functions\.each(\..+)?|alarms|urls|images\..+)$/

function merge(base: Json, over: Json, path: string, problems: string[]): Json {
  const merged: Json = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const here = path === '' ? key : `${path}.${key}`
    const before = base[key]
    if (!(key in base) && !OPEN.test(path)) problems.push(`${here}: unknown`)
    else if (isObject(before) && isObject(value))
      merged[key] = merge(path === 'images' && 'uri' in value ? {} : before, value, here, problems)
    else if (
      key !== 'reservedConcurrency' &&
      before !== undefined &&
      (Array.isArray(before) !== Array.isArray(value) || typeof before !== typeof value)
    )
      problems.push(`${here}: must be ${Array.isArray(before) ? 'a list' : `a ${typeof before}`}`)
    else merged[key] = value
  }
  return merged
}

/** Of the open ones, those that have no more names than these. */
const NAMES = {
  alarms: ['email', 'queueAgeSeconds'],
  function: ['memoryMb', 'timeoutSeconds', 'reservedConcurrency'],
  image: ['ecrRepository', 'tag', 'uri'],
} as const

const unknownIn = (where: string, given: object, names: readonly string[]): string[] =>
  Object.keys(given)
    .filter((name) => !names.includes(name))
    .map((name) => `${where}.${name}: unknown`)

/** An HTTP API waits for 30 s: who is told that it failed must not find that it was done. */
const TIMEOUT_SECONDS_MAX = 29

const CHOICES: Record<string, readonly unknown[]> = {
  front: ['httpApi', 'functionUrl'],
  queue: ['sqs', 'postgres'],
  workers: ['lambda', 'containers'],
  ledger: ['postgres', 'tigerbeetle'],
  'database.authCluster': ['shared', 'own'],
  'tigerbeetle.replicas': [3, 6],
}
/** As CloudWatch has them. */
const LOG_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
]

const at = (config: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), config)

const isHttpsUrl = (text: unknown): boolean =>
  typeof text === 'string' && URL.canParse(text) && new URL(text).protocol === 'https:'

const isCidr = (text: unknown): boolean => /^\d{1,3}(\.\d{1,3}){3}\/([1-9]|[12]\d|3[0-2])$/.test(String(text))

function problemsOfFront(config: UpesiConfig): string[] {
  const problems: string[] = []
  for (const [name, url] of Object.entries(config.urls))
    if (!['openPayments', 'auth', 'walletAddress', 'ilp', 'autoPeering'].includes(name))
      problems.push(`urls.${name}: unknown`)
    else if (!isHttpsUrl(url)) problems.push(`urls.${name}: must be an https URL`)
  for (const name of ['openPayments', 'auth', 'walletAddress'] as const)
    if (config.urls[name] === undefined) problems.push(`urls.${name}: required`)
  if (problems.length > 0) return problems
  const { openPayments, auth, walletAddress, ilp, autoPeering } = config.urls
  const onHttpApi = config.front === 'httpApi' ? [openPayments, auth, walletAddress, autoPeering] : []
  for (const url of [...onHttpApi, ilp]) {
    if (url === undefined) continue
    const { host } = new URL(url)
    if (!config.domains.some((domain) => domain.host === host)) problems.push(`domains: ${host} is missing`)
  }
  for (const { host, certificateArn, hostedZone } of config.domains)
    if (!certificateArn && !(hostedZone?.id && hostedZone.name))
      problems.push(`domains: ${host} needs a certificateArn, or a hostedZone with id and name`)
  const apart = [openPayments, auth, autoPeering, ilp].flatMap((url) => (url ? [new URL(url).host] : []))
  if (new Set(apart).size < apart.length)
    problems.push('urls: openPayments, auth, autoPeering and ilp need hosts of their own')
  return problems
}

function problemsOfParts(config: UpesiConfig): string[] {
  const problems: string[] = []
  for (const [path, choices] of Object.entries(CHOICES))
    if (!choices.includes(at(config, path))) problems.push(`${path}: must be one of ${choices.join(', ')}`)
  // As databases and load balancers have them.
  if (!/^(?=.{1,25}$)[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$/.test(config.name))
    problems.push('name: letters, digits and single hyphens between them, at most 25')
  const { azCount, natGateways } = config.network
  if (![2, 3].includes(azCount)) problems.push('network.azCount: must be 2 or 3')
  if (!Number.isInteger(natGateways) || natGateways < 1 || natGateways > azCount)
    problems.push('network.natGateways: must be 1 at the least, and one for each zone at most')
  for (const cidr of config.network.clientCidrs)
    if (!isCidr(cidr)) problems.push(`network.clientCidrs: ${cidr} is no network`)
  for (const { cidr, port, why } of config.network.privateDestinations)
    if (!isCidr(cidr) || !Number.isInteger(port) || !why)
      problems.push(`network.privateDestinations: ${cidr} needs a network as cidr, a port and a why`)
  const { backupDays } = config.database
  if (!Number.isInteger(backupDays) || backupDays < 1 || backupDays > 35)
    problems.push('database.backupDays: must be 1 to 35')
  if (!LOG_DAYS.includes(config.logDays)) problems.push(`logDays: must be one of ${LOG_DAYS.join(', ')}`)
  if (config.queue === 'postgres' && config.workers === 'lambda')
    problems.push('workers: with queue postgres nothing invokes Lambda; must be containers')
  if (config.connector.count > 1 && !config.cache)
    problems.push('cache: several connectors share limits and totals there; must be true')
  const { bucket, key, sha256 } = config.tigerbeetle.binary
  if (hasReplicas(config) && !(bucket && key && /^[0-9a-f]{64}$/.test(sha256)))
    problems.push('tigerbeetle.binary: bucket, key and sha256 are required')
  for (const [where, settings] of [
    ['defaults', config.functions.defaults] as const,
    ...Object.entries(config.functions.each).map(([id, each]) => [`each.${id}`, each] as const),
  ]) {
    problems.push(...unknownIn(`functions.${where}`, settings, NAMES.function))
    const { reservedConcurrency: reserved, timeoutSeconds = 1 } = settings
    if (!Number.isInteger(timeoutSeconds) || timeoutSeconds < 1 || timeoutSeconds > TIMEOUT_SECONDS_MAX)
      problems.push(`functions.${where}.timeoutSeconds: must be 1 to ${TIMEOUT_SECONDS_MAX}`)
    if (reserved !== undefined && reserved !== 'none' && !(Number.isInteger(reserved) && reserved >= 0))
      problems.push(`functions.${where}.reservedConcurrency: must be a whole number, or none`)
  }
  for (const id of config.workers === 'lambda' ? ['webhooks', 'payments'] : [])
    if (reservedFor(config, id) === 1)
      problems.push(`functions.each.${id}.reservedConcurrency: SQS hands over two batches at the least`)
  for (const [id, { timeoutSeconds }] of Object.entries(config.functions.each)) {
    const known = lambdaFunctions.find((one) => one.id === id)
    if (!known && id !== 'migrate') problems.push(`functions.each.${id}: no such function`)
    else if (timeoutSeconds !== undefined && !(known && 'listener' in known.trigger))
      problems.push(`functions.each.${id}.timeoutSeconds: goes with what invokes it`)
  }
  problems.push(...unknownIn('alarms', config.alarms, NAMES.alarms))
  for (const [name, image] of Object.entries(config.images)) {
    problems.push(...unknownIn(`images.${name}`, image, NAMES.image))
    if ((image.ecrRepository === undefined) === (image.uri === undefined))
      problems.push(`images.${name}: either ecrRepository with tag, or uri`)
  }
  return problems
}

function problemsOfVariables(config: UpesiConfig): string[] {
  const problems: string[] = []
  const plain: [string, Record<string, string>][] = [
    ['environment', config.environment],
    ...Object.entries(config.environmentOf).map(([role, values]): [string, Record<string, string>] => [
      `environmentOf.${role}`,
      values ?? {},
    ]),
  ]
  for (const role of Object.keys(config.environmentOf))
    if (!(roles as readonly string[]).includes(role)) problems.push(`environmentOf.${role}: no such role`)
  for (const [where, values] of plain)
    for (const [name, value] of Object.entries(values)) {
      if (!everyVariable.has(name)) problems.push(`${where}.${name}: no role reads it`)
      if (secretVariables.has(name)) problems.push(`${where}.${name}: is a secret; put its ARN into secrets`)
      if (typeof value !== 'string') problems.push(`${where}.${name}: must be a text`)
    }
  for (const [role, values] of Object.entries(config.environmentOf)) {
    if (!(roles as readonly string[]).includes(role)) continue
    const read = new Set(variablesOf(role as Role).map(({ name }) => name))
    for (const name of Object.keys(values ?? {}))
      if (everyVariable.has(name) && !read.has(name))
        problems.push(`environmentOf.${role}.${name}: it does not read it`)
  }
  for (const [name, arn] of Object.entries(config.secrets)) {
    if (!secretVariables.has(name)) problems.push(`secrets.${name}: no role reads such a secret`)
    if (!/^arn:[^:]+:secretsmanager:[^:]+:\d{12}:secret:[^#]+-[A-Za-z0-9]{6}(#[^#]+)?$/.test(String(arn)))
      problems.push(`secrets.${name}: must be the whole ARN of a secret, and #key where it is a JSON object`)
  }
  return problems
}

/** Throws {@link ConfigProblems} with every problem at once. */
export function parseConfig(input: unknown): UpesiConfig {
  if (!isObject(input)) throw new ConfigProblems(['must be a JSON object'])
  const { profile, ...given } = input
  const base = profiles[String(profile)]
  if (base === undefined)
    throw new ConfigProblems([`profile: must be one of ${Object.keys(profiles).join(', ')}`])
  const problems: string[] = []
  const config = merge({ ...base, urls: {} }, given, '', problems) as unknown as UpesiConfig
  if (problems.length === 0)
    problems.push(...problemsOfParts(config), ...problemsOfFront(config), ...problemsOfVariables(config))
  if (problems.length > 0) throw new ConfigProblems(problems)
  return config
}

/** Throws {@link ConfigProblems}. */
export function readConfig(file: string | URL): UpesiConfig {
  let input: unknown
  try {
    input = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new ConfigProblems([`${String(file)} cannot be read: ${(error as Error).message}`])
  }
  return parseConfig(input)
}

/** The port that a container listens on: its variable is the operator's to set. */
export function portOf(config: UpesiConfig, variable: 'CONNECTOR_PORT' | 'CONNECTOR_RPC_PORT'): number {
  const fallback = { CONNECTOR_PORT: 3002, CONNECTOR_RPC_PORT: 3012 }[variable]
  return Number(config.environmentOf.connector?.[variable] ?? config.environment[variable] ?? fallback)
}

/** Executions that the function has for itself. */
export const reservedFor = ({ functions }: Pick<UpesiConfig, 'functions'>, id: string) =>
  ({ ...functions.defaults, ...functions.each[id] }).reservedConcurrency

/** Replicas are made here unless the operator has a cluster and names it. */
export const hasReplicas = (config: UpesiConfig): boolean =>
  config.ledger === 'tigerbeetle' &&
  (config.environmentOf.connector?.TIGERBEETLE_REPLICA_ADDRESSES ??
    config.environment.TIGERBEETLE_REPLICA_ADDRESSES) === undefined
