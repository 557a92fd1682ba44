/**
 * What tests stand on: real databases cloned from migrated templates, a clock that stands still, waiting with a limit, a
 * Redis and a TigerBeetle where there are any. Imported by tests only. Every database made here is the test's own; the server is shared.
 */
/** A server of the test's own, for a test that kills it. */
export { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded-postgres/index.ts'
export { type BrokerKind, startTestBroker, type TestBroker } from './brokers.ts'
export { type Canary, startCanary } from './canary.ts'
export { type TestClock, testClock } from './clock.ts'
export { cpuMs } from './cpu-time.ts'
export { createTestDatabase, type TestDatabase, type TestDatabaseKind } from './database.ts'
export { type DatabaseProxy, startDatabaseProxy } from './database-proxy.ts'
export { type Forgery, forgeSignature } from './forge-signature.ts'
export {
  type ReceivedRequest,
  startTestHttpServer,
  type TestAnswer,
  type TestHttpServer,
} from './http-server.ts'
export { testNodeEnvironment } from './node-environment.ts'
export { countReads, createDatabaseOfOldPlans, type DatabaseOfOldPlans } from './old-plans.ts'
export { recordEffect } from './record-effect.ts'
export { startTestRedis, type TestRedis } from './redis.ts'
export { startTestServer, TEST_SERVER_VARIABLE, type TestServer } from './server.ts'
export { startTestSqs, type TestQueue, type TestSqs } from './sqs.ts'
export {
  type ReceivedPoint,
  type ReceivedSpan,
  startTestCollector,
  type TestCollector,
} from './test-collector.ts'
export {
  type OwnTigerBeetle,
  openTestTigerBeetle,
  startTestTigerBeetle,
  type TestTigerBeetle,
  withoutTigerBeetle,
  withoutTigerBeetleBinary,
} from './tigerbeetle.ts'
export { seededRandom, type Unruliness, unrulyBroker } from './unruly-broker.ts'
export { untilUnused } from './until-unused.ts'
export { waitFor } from './wait-for.ts'
export { fitsWeakKeys, WEAK_KEYS } from './weak-keys.ts'
