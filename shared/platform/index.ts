/**
 * Platform is what every room stands on and knows nothing of payments: errors, time, ids, SQL, configuration, logs and the
 * one way out to the network. Time, randomness and the environment enter the program here and nowhere else.
 */
export { type BatchedStatement, noAnswer, oncePerId } from './batched-statements.ts'
export { type Batcher, type BatcherOptions, createBatcher } from './batcher.ts'
export { type Cache, createCache } from './cache.ts'
export { type Clock, systemClock } from './clock.ts'
export * as configuration from './config.ts'
export {
  ConfigError,
  type ConfigOf,
  type Environment,
  loadConfig,
  optionalVariable,
  variable,
} from './config.ts'
export {
  createDb,
  type Db,
  type DbOptions,
  type DbPool,
  noticingSilence,
  violatedConstraint,
} from './db.ts'
export { createDeafListener, type DeafListener } from './deaf-listener.ts'
export {
  type Host,
  type Invocation,
  type OpenDeployable,
  orClose,
  type RunningDeployable,
  runDeployable,
  type StartDeployable,
  withEnvironmentFile,
} from './deployable.ts'
export { createGuardedHttp, type GuardedHttpOptions } from './egress-http.ts'
export { namesBeside, namesOfAbsentFeatures, namesOfVariables, retiredNames } from './environment-names.ts'
export { environmentWarnings, warnOfEnvironment } from './environment-warnings.ts'
export { AssertionFailed, assert, type ErrorInput, Fault, messageOf, Refusal, unreachable } from './errors.ts'
export { type GatewayRequest, withGatewayRequest } from './gateway-request.ts'
export { type HmacSignature, parseHmacSignature, signHmac, verifyHmacDigest } from './hmac-signature.ts'
export { createHttpApp, type HttpAppOptions, listenOn } from './http-app.ts'
export {
  createTrustedHttp,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  type OpenHttpClient,
  wasSent,
} from './http-client.ts'
export { bytesToUuid, deriveId, deriveUuid, isUuid, uuidv7 } from './ids.ts'
export { isObject } from './is-object.ts'
export { parseJsonBody } from './json-body.ts'
export { countListeners, createListener, type Listener } from './listener.ts'
export { createLogger, isWorthALine, type Logger, type LogLevel } from './log.ts'
export {
  currentLogContext,
  type LogContext,
  REQUEST_ID_HEADER,
  requestIdOf,
  withLogContext,
} from './log-context.ts'
export {
  assertMigrated,
  CHECKSUMS_FILE,
  MigrationMismatch,
  migrate,
  migrationChecksums,
  PendingMigrations,
} from './migrations.ts'
export { type NamedStatement, queryNamed } from './named-query.ts'
export {
  type AnyOf,
  InvalidPage,
  type ListQuery,
  listPage,
  PAGE_SIZE_DEFAULT,
  PAGE_SIZE_MAX,
  type Page,
  type Paged,
  readPage,
} from './paging.ts'
export { present } from './present.ts'
export { connectRedis, type Redis, type RedisOptions } from './redis.ts'
export { ensureSecretKeys, resealColumns, type SealedColumn } from './sealed-columns.ts'
export {
  createConfiguredSecretBox,
  createSecretBox,
  type SealedParts,
  type SecretBox,
  sealedParts,
} from './secret-box.ts'
export { silentLogger } from './silent-log.ts'
export { joinById, joinSql, plannedAnew, type Row, rawSql, rowsSql, type Sql, sql, sqlText } from './sql.ts'
export { createStandstill, type Standstill } from './standstill.ts'
export { createTurnstile, type Turnstile, type TurnstileOptions } from './turnstile.ts'
export {
  adminApiVariables,
  databasePasswordVariable,
  deployableChecks,
  deployableVariables,
  passwordOf,
  redisVariables,
  signedRequestVariables,
} from './variables.ts'
