import type { authenticateRequest } from '../../shared/http-signatures/index.ts'
import type { LazyOpenApiValidator } from '../../shared/openapi/index.ts'
import type { Clock, DbPool, HttpClient, Logger, SecretBox } from '../../shared/platform/index.ts'
import type { Telemetry } from '../../shared/telemetry/index.ts'
import type { GrantPolicy } from './grants/index.ts'

/** What the routes work with. Built in `wiring.ts`. */
export interface AuthContext {
  db: DbPool
  clock: Clock
  log: Logger
  secretBox: SecretBox
  telemetry: Telemetry
  /** For what clients name: the guarded one. */
  http: HttpClient
  /** Proof of possession: client keys, nonces, the limit on unproven work. */
  signatures: Parameters<typeof authenticateRequest>[0]
  /** Hosts that signed requests may name. */
  publicHosts: ReadonlySet<string>
  trustProxy: boolean
  /** Public base of continue and token URLs, without a slash at its end. */
  authServerUrl: string
  /** Public base that clients are told to ask for grants at, without a slash at its end; part of the hash of an interaction. */
  grantUrl: string
  tokenLifeSeconds: number
  interactionLifeSeconds: number
  cookie: { key: string; sameSite: 'lax' | 'none' }
  waitSeconds: number
  policy: GrantPolicy
  validator: LazyOpenApiValidator
  /** Outside production our own answers are held against the specification too. */
  validatesResponses: boolean
  /** Signs calls of the service API. */
  serviceApiSecrets: readonly string[]
  /** Throws when the database is away. */
  ready(): Promise<void>
}
