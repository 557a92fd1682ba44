/**
 * Queue: work to do, as rows of the resource database. What is always true: a job is written in the transaction that makes it
 * necessary; it is worked on under a lease, by one worker at a time as long as leases hold, and at least once; a worker that
 * lost its lease cannot record (`holdLease`); asking for a job that runs makes it run once more. Notifications and a broker's
 * messages only wake workers: losing all of them costs a moment, and repeats and another order change nothing.
 */
export {
  type ConsumeContext,
  type ConsumeOptions,
  type Consumer,
  type ConsumeTerms,
  consumeJobs,
} from './consume-jobs.ts'
export { type ConsumeQueueContext, consumeQueue } from './consume-queue.ts'
export { drainJobs } from './drain-jobs.ts'
export type {
  Broker,
  BrokerDepth,
  DeadLetter,
  Delivery,
  IncomingMessage,
  MessageConsumer,
  MessageHandler,
  OutgoingMessage,
  Verdict,
} from './drivers/model.ts'
export { LeaseLost } from './errors.ts'
export {
  createMessageWorker,
  handleMessages,
  type MessageWorker,
  type WorkContext,
  type WorkOptions,
} from './handle-messages.ts'
export type {
  BrokerQueue,
  Job,
  JobHandler,
  JobOutcome,
  LoadWithClaim,
  NewJob,
  QueueName,
} from './model.ts'
export { brokerQueues, carriedBy } from './model.ts'
export type { PaymentOfJob } from './observe-jobs.ts'
export { type BrokerSettings, brokerProblems, openBroker } from './open-broker.ts'
export {
  publishDueJobs,
  type Relay,
  type RelayContext,
  type RelayOptions,
  type RelayWindow,
  relayJobs,
} from './relay.ts'
export type { QueueWork } from './run-job.ts'
export type { OtherSide, Shares } from './shares.ts'
export {
  enqueueJob,
  finishLeases,
  heldLeases,
  holdLease,
  insertJobs,
  leaseColumns,
  noRequest,
  notifyJobs,
  ofQueue,
  outcomeOf,
} from './store.ts'
