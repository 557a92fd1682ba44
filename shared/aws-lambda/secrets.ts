import { ConfigError, type Environment, isObject } from '../platform/index.ts'

/** Where a variable's value is: a secret, or a member of one that is a JSON object. */
interface SecretPlace {
  variable: string
  secretId: string
  member?: string
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

function parsePlace(variable: string, value: unknown): SecretPlace | string {
  if (!NAME.test(variable))
    return `AWS_SECRETS names ${JSON.stringify(variable)}, which is no name of a variable`
  if (typeof value !== 'string') return `AWS_SECRETS: ${variable} must be the ARN of a secret`
  const mark = value.lastIndexOf('#')
  const secretId = mark < 0 ? value : value.slice(0, mark)
  const member = mark < 0 ? undefined : value.slice(mark + 1)
  if (secretId === '' || member === '')
    return `AWS_SECRETS: ${variable} must be <secret ARN> or <secret ARN>#<member>`
  return { variable, secretId, ...(member !== undefined && { member }) }
}

/** Throws {@link ConfigError} with all that is wrong. */
function parsePlaces(text: string): SecretPlace[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The parser's words would quote it.
  }
  if (!isObject(parsed) || Array.isArray(parsed))
    throw new ConfigError(['AWS_SECRETS must be a JSON object: variable name to ARN of a secret'])
  const places = Object.entries(parsed).map(([variable, value]) => parsePlace(variable, value))
  const problems = places.filter((place) => typeof place === 'string')
  if (problems.length > 0) throw new ConfigError(problems)
  return places.filter((place) => typeof place !== 'string')
}

/** The value, or what is wrong with it in words that do not show it. */
function readPlace(
  { variable, secretId, member }: SecretPlace,
  secret: string,
): { value: string } | { problem: string } {
  if (member === undefined) return { value: secret }
  let parsed: unknown
  try {
    parsed = JSON.parse(secret)
  } catch {
    // Said below.
  }
  const found = isObject(parsed) && Object.hasOwn(parsed, member) ? parsed[member] : undefined
  return typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean'
    ? { value: String(found) }
    : { problem: `${variable}: the secret ${secretId} has no member ${JSON.stringify(member)}` }
}

type FindSecret = (secretId: string) => Promise<string>

const ATTEMPTS_MAX = 3
const CONNECT_MS = 1_000
const ANSWER_MS = 3_000

/** The SDK is loaded when there is something to ask for: by `default`, the one name that bundles have for it. */
async function createSecretsManager(env: Environment): Promise<{ find: FindSecret; close: () => void }> {
  const { default: sdk } = await import('@aws-sdk/client-secrets-manager')
  const endpoint = env.AWS_ENDPOINT_URL_SECRETS_MANAGER || env.AWS_ENDPOINT_URL
  const { AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  const sessionToken = env.AWS_SESSION_TOKEN
  const client = new sdk.SecretsManagerClient({
    maxAttempts: ATTEMPTS_MAX,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS, throwOnRequestTimeout: true },
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(accessKeyId &&
      secretAccessKey && {
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
      }),
  })
  return {
    async find(secretId) {
      const { SecretString: secret } = await client.send(
        new sdk.GetSecretValueCommand({ SecretId: secretId }),
      )
      if (secret === undefined) throw new Error('it is not text')
      return secret
    },
    close: () => client.destroy(),
  }
}

/**
 * `env` with the variables that AWS_SECRETS says are in Secrets Manager: each secret is read once, all at the same time. A variable that
 * is set already wins. Throws {@link ConfigError} with everything that cannot be read; no value is in it.
 */
export async function withAwsSecrets(env: Environment): Promise<Environment> {
  if (!env.AWS_SECRETS) return env
  const places = parsePlaces(env.AWS_SECRETS).filter(({ variable }) => !env[variable])
  if (places.length === 0) return env
  const manager = await createSecretsManager(env)
  const secrets = new Map<string, Promise<string>>()
  for (const { secretId } of places) if (!secrets.has(secretId)) secrets.set(secretId, manager.find(secretId))
  await Promise.allSettled(secrets.values())
  manager.close()

  const added: Record<string, string> = {}
  const problems: string[] = []
  for (const place of places) {
    const { variable, secretId } = place
    try {
      const found = readPlace(place, (await secrets.get(secretId)) ?? '')
      if ('value' in found) added[variable] = found.value
      else problems.push(found.problem)
    } catch (error) {
      // The kind of the error: its message may go into detail about who asked.
      problems.push(`${variable}: the secret ${secretId} cannot be read (${(error as Error).name})`)
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return { ...env, ...added }
}
