import { messageOf } from './errors.ts'

/**
 * Configuration is a schema per deployable, read once at cold start. Every problem is reported at once; nothing else reads
 * the environment. Names and defaults are contract (contracts/admin/environment.md).
 */

export type Environment = Readonly<Record<string, string | undefined>>

/** Turns the text of a variable into a value, or throws an Error that says what is wrong with it. */
export type Parse<T> = (text: string) => T

export interface Variable<T> {
  name: string
  parse: Parse<T>
  about: string
  /** Absent: the variable is required, unless `optional`. */
  fallback?: T
  optional?: boolean
  /** Values never appear in errors or logs. */
  secret?: boolean
  /** A second variable that has a part of this one's value. */
  completion?: Completion
}

export interface Completion {
  name: string
  /** Of two texts that are given. Throws an Error whose message completes "<name> …". */
  complete: (text: string, part: string) => string
}

export type Schema = Record<string, Variable<unknown>>
export type ConfigOf<S extends Schema> = { [K in keyof S]: S[K] extends Variable<infer T> ? T : never }

interface Description<T> {
  about: string
  default?: T
  secret?: boolean
  completion?: Completion
}

/** A variable with a default, or a required one when no default is given. */
export const variable = <T>(name: string, parse: Parse<T>, description: Description<T>): Variable<T> => ({
  name,
  parse,
  about: description.about,
  ...('default' in description && { fallback: description.default as T }),
  ...(description.secret && { secret: true }),
  ...(description.completion && { completion: description.completion }),
})

/** A variable that may be absent: `undefined` then. An empty value counts as absent. */
export const optionalVariable = <T>(
  name: string,
  parse: Parse<T>,
  description: { about: string; secret?: boolean; completion?: Completion },
): Variable<T | undefined> => ({
  name,
  parse,
  about: description.about,
  optional: true,
  ...(description.secret && { secret: true }),
  ...(description.completion && { completion: description.completion }),
})

export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`configuration is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * Reads `env` by `schema`. `checks` states relations between variables. Throws {@link ConfigError} with the whole list.
 * An empty value counts as unset.
 */
export function loadConfig<S extends Schema>(
  schema: S,
  env: Environment,
  checks: (config: ConfigOf<S>) => string[] = () => [],
): ConfigOf<S> {
  const problems: string[] = []
  const config: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(schema)) {
    const text = env[item.name]
    if (text === undefined || text === '') {
      if (item.fallback !== undefined) config[key] = item.fallback
      else if (!item.optional) problems.push(`${item.name} is required: ${item.about}`)
      continue
    }
    try {
      config[key] = item.parse(text)
    } catch (error) {
      const shown = item.secret ? '' : ` (got ${JSON.stringify(text.slice(0, 100))})`
      problems.push(`${item.name} ${error instanceof Error ? error.message : 'is malformed'}${shown}`)
      continue
    }
    const part = item.completion && env[item.completion.name]
    if (!item.completion || part === undefined || part === '') continue
    try {
      config[key] = item.parse(item.completion.complete(text, part))
    } catch (error) {
      problems.push(`${item.completion.name} ${messageOf(error)}`)
    }
  }
  // Relations are checked even when some values are missing, so that one start shows everything that can be known.
  if (problems.length === 0) problems.push(...checks(config as ConfigOf<S>))
  if (problems.length > 0) throw new ConfigError(problems)
  return config as ConfigOf<S>
}

// Parsers. Each throws an Error whose message completes "<NAME> …".

export const text: Parse<string> = (value) => value

export const boolean: Parse<boolean> = (value) => {
  if (value === 'true') return true
  if (value === 'false') return false
  throw new Error('must be true or false')
}

export const integer =
  (limits: { min: number; max?: number }): Parse<number> =>
  (value) => {
    const max = limits.max ?? Number.MAX_SAFE_INTEGER
    const number = /^-?\d{1,16}$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= limits.min && number <= max))
      throw new Error(
        `must be a whole number from ${limits.min}${limits.max === undefined ? '' : ` to ${max}`}`,
      )
    return number
  }

export const port = integer({ min: 0, max: 65535 })

export const oneOf =
  <T extends string>(...choices: readonly T[]): Parse<T> =>
  (value) => {
    const found = choices.find((choice) => choice === value)
    if (found === undefined) throw new Error(`must be one of ${choices.join(', ')}`)
    return found
  }

export const url =
  (...protocols: readonly string[]): Parse<string> =>
  (value) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined
    if (!parsed || !protocols.includes(parsed.protocol.slice(0, -1)))
      throw new Error(`must be a URL with ${protocols.join(' or ')}`)
    return value
  }

export const httpUrl = url('http', 'https')

/** The base of public URLs: no query, no fragment. */
export const baseUrl: Parse<string> = (value) => {
  const { search, hash } = new URL(httpUrl(value))
  if (search !== '' || hash !== '') throw new Error('must be a URL without query and fragment')
  return value
}

/** `none`, or a redis: or rediss: URL. */
export const redisUrl: Parse<string> = (value) => (value === 'none' ? value : url('redis', 'rediss')(value))

/** What a signing secret must at least be: not blank. */
export const secretText: Parse<string> = (value) => {
  if (value.trim() === '') throw new Error('must not be blank')
  return value
}

export const postgresUrl: Parse<string> = (value) => {
  if (!/^postgres(ql)?:\/\//.test(value)) throw new Error('must start with postgresql://')
  // Read as the driver reads it: blanks are escaped, and a server on a socket has no host.
  if (!URL.canParse(encodeURI(value).replace('@/', '@localhost/'))) throw new Error('must be a URL')
  return value
}

export const list: Parse<string[]> = (value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** Of items that each parse as `item`. */
export const listOf =
  <T>(item: Parse<T>): Parse<T[]> =>
  (value) =>
    list(value).map(item)

export const base64Bytes =
  (length: number): Parse<Buffer> =>
  (value) => {
    const bytes = Buffer.from(value, 'base64')
    if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(value) || bytes.length !== length)
      throw new Error(`must be ${length} bytes in base64`)
    return bytes
  }

export const uuid: Parse<string> = (value) => {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) throw new Error('must be a UUID')
  return value.toLowerCase()
}

const ILP_ADDRESS = /^(g|private|example|peer|self|test[1-3]?|local)([.][a-zA-Z0-9_~-]+)+$/
export const isIlpAddress = (text: string): boolean => ILP_ADDRESS.test(text) && text.length <= 1023
export const ilpAddress: Parse<string> = (value) => {
  if (!isIlpAddress(value)) throw new Error('must be an ILP address, such as g.bank')
  return value
}
