/**
 * Queue: work to do, as rows of the resource database. What is always true: a job is written in the transaction that makes it
 * necessary; it is worked on under a lease, by one worker at a time as long as leases hold, and at least once; a worker that
 * lost its lease cannot record (`holdLease`); asking for a job that runs makes it run once more. Notifications only wake
 * workers, and losing all of them costs a moment.
 */
export {
  type ConsumeContext,
  type ConsumeOptions,
  type Consumer,
  type ConsumeTerms,
  consumeJobs,
  type QueueWork,
} from './consume-jobs.ts'
export { LeaseLost } from './errors.ts'
export type { Job, JobHandler, JobOutcome, LoadWithClaim, NewJob, QueueName } from './model.ts'
export type { PaymentOfJob } from './observe-jobs.ts'
export { handleBatch } from './run-job.ts'
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
  outcomeOf,
} from './store.ts'
