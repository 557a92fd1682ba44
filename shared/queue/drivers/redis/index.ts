/**
 * A broker's queue as a stream of Redis with a consumer group. Who publishes needs `broker.ts` and `stream.ts` only; consuming has a
 * connection of its own, and takes over what others left (`reclaim.ts`).
 */
export { createRedisBroker, type RedisBrokerOptions } from './broker.ts'
