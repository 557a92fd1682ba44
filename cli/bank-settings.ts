import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { choosePort } from '../shared/loopback-ports/index.ts'
import { type Environment, uuidv7 } from '../shared/platform/index.ts'

export type BankName = 'a' | 'b'

const listeners = [
  'admin',
  'openPayments',
  'connector',
  'connectorRpc',
  'auth',
  'introspection',
  'interaction',
  'authAdmin',
  'authService',
  'wallet',
] as const
export type BankListener = (typeof listeners)[number]

/** What a bank keeps for ever: its ports are part of its public URLs, its secrets open what it stored. */
export interface BankSettings {
  name: BankName
  operatorTenantId: string
  adminApiSecret: string
  streamSecret: string
  signatureSecret: string
  identityServerSecret: string
  cookieKey: string
  keyId: string
  /** The token that the other bank presents to this one, by asset code. */
  peerTokens: Record<string, string>
  /** PEM of the key that customers' wallet addresses publish. */
  customerKeyPem: string
  ports: Record<BankListener, number>
}

const secret = () => randomBytes(32).toString('base64')

export async function createBankSettings(
  name: BankName,
  assetCodes: readonly string[],
): Promise<BankSettings> {
  const ports = {} as Record<BankListener, number>
  for (const listener of listeners) {
    ports[listener] = await choosePort()
  }
  const { privateKey } = generateKeyPairSync('ed25519')
  return {
    name,
    operatorTenantId: uuidv7(),
    adminApiSecret: secret(),
    streamSecret: secret(),
    signatureSecret: secret(),
    identityServerSecret: secret(),
    cookieKey: secret(),
    keyId: `bank-${name}-key`,
    peerTokens: Object.fromEntries(assetCodes.map((code) => [code, randomBytes(24).toString('base64url')])),
    customerKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ports,
  }
}

/** The settings in `file`, made and kept there at the first start. */
export async function loadBankSettings(
  file: string,
  name: BankName,
  assetCodes: readonly string[],
): Promise<BankSettings> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as BankSettings
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error
  }
  const settings = await createBankSettings(name, assetCodes)
  await mkdir(dirname(file), { recursive: true })
  // Written aside and renamed: a kill in between must not leave half a file, which would lose the keys.
  await writeFile(`${file}.new`, JSON.stringify(settings, undefined, 2), { mode: 0o600 })
  await rename(`${file}.new`, file)
  return settings
}

/** The node's signing key in PEM, made at the first start: an operator brings its own. */
export async function keyFile(file: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  await writeFile(file, pem, { mode: 0o600, flag: 'wx' }).catch((error: { code?: string }) => {
    if (error.code !== 'EEXIST') throw error
  })
  return file
}

export const customerKey = (settings: BankSettings): KeyObject => createPrivateKey(settings.customerKeyPem)

/** Everything one bank's deployables read, in the contract's names. */
export function bankEnvironment(
  settings: BankSettings,
  databases: { resources: string; auth: string },
  overrides: Environment = {},
): Record<string, string> {
  const { ports, name } = settings
  const environment: Environment = {
    NODE_ENV: 'development',
    LOG_LEVEL: 'warn',
    USE_TIGERBEETLE: 'false',
    REDIS_URL: 'none',
    // Nobody balances load here.
    CONNECTOR_SHUTDOWN_NOTICE_MS: '0',
    DATABASE_URL: databases.resources,
    AUTH_DATABASE_URL: databases.auth,
    OPERATOR_TENANT_ID: settings.operatorTenantId,
    ADMIN_API_SECRET: settings.adminApiSecret,
    ADMIN_PORT: String(ports.admin),
    OPEN_PAYMENTS_PORT: String(ports.openPayments),
    OPEN_PAYMENTS_URL: `https://localhost:${ports.openPayments}`,
    WALLET_ADDRESS_URL: `https://localhost:${ports.openPayments}/.well-known/pay`,
    CONNECTOR_PORT: String(ports.connector),
    ILP_CONNECTOR_URL: `http://localhost:${ports.connector}`,
    CONNECTOR_RPC_PORT: String(ports.connectorRpc),
    CONNECTOR_RPC_URL: `http://localhost:${ports.connectorRpc}`,
    ILP_ADDRESS: `test.bank-${name}`,
    INSTANCE_NAME: `Bank ${name.toUpperCase()}`,
    STREAM_SECRET: settings.streamSecret,
    KEY_ID: settings.keyId,
    AUTH_PORT: String(ports.auth),
    AUTH_SERVER_URL: `https://localhost:${ports.auth}`,
    AUTH_SERVER_GRANT_URL: `https://localhost:${ports.auth}`,
    INTROSPECTION_PORT: String(ports.introspection),
    AUTH_SERVER_INTROSPECTION_URL: `http://localhost:${ports.introspection}`,
    INTERACTION_PORT: String(ports.interaction),
    SERVICE_API_PORT: String(ports.authService),
    AUTH_SERVICE_API_URL: `http://localhost:${ports.authService}`,
    IDENTITY_SERVER_URL: `http://localhost:${ports.wallet}/consent`,
    IDENTITY_SERVER_SECRET: settings.identityServerSecret,
    COOKIE_KEY: settings.cookieKey,
    WEBHOOK_URL: `http://localhost:${ports.wallet}/webhooks`,
    SIGNATURE_SECRET: settings.signatureSecret,
    EXCHANGE_RATES_URL: `http://localhost:${ports.wallet}/rates`,
    EGRESS_ALLOW: 'localhost,127.0.0.0/8,::1/128',
    EGRESS_ALLOW_HTTP: 'true',
    ...overrides,
  }
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

/** Auth has an ADMIN_PORT of its own; everything else it shares with the rest of the bank. */
export const authEnvironment = (
  settings: BankSettings,
  environment: Record<string, string>,
): Record<string, string> => ({
  ...environment,
  ADMIN_PORT: String(settings.ports.authAdmin),
})
