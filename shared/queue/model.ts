import type { Row, Sql } from '../platform/index.ts'
import type { OtherSide } from './shares.ts'

export type QueueName = 'outgoing-payments' | 'incoming-payments' | 'webhooks' | 'tenant-mirror'

/** A broker's queue, where one carries the work. One for each kind of worker. */
export type BrokerQueue = 'webhooks' | 'payments'

/** The jobs that each carries. Mirroring tenants is always taken from the table itself, by the Admin API's process. */
export const carriedBy: Readonly<Record<BrokerQueue, readonly QueueName[]>> = {
  webhooks: ['webhooks'],
  payments: ['outgoing-payments', 'incoming-payments'],
}

export const brokerQueues = Object.keys(carriedBy) as BrokerQueue[]

/** A piece of work under a lease. Carries ids only: the handler reads the row that it is about. */
export interface Job {
  queue: QueueName
  key: string
  tenantId?: string
  /** This run's number: 1 at first; grows while runs throw or vanish, and begins anew after a run that ended as planned. */
  attempts: number
  /** Proves the lease; see `holdLease`. */
  leaseToken: bigint
  /** How often the job had been asked for when it was claimed. Asked for again meanwhile: it runs once more. */
  requested: bigint
  /** Of the request that asked for it last, for logs. */
  requestId?: string
  /** What {@link LoadWithClaim} read. Absent, too, where the job was asked for again in the moment of the claim. */
  loaded?: Row
}

/**
 * A query that finds what a job is about, by `claimed.key`; it runs in the statement that claims. Its columns must not have the
 * names of a job's.
 */
export type LoadWithClaim = Sql

export interface NewJob {
  queue: QueueName
  key: string
  /** Whose work it is, for fairness between tenants. */
  tenantId?: string
  /** Default: at once. A job that is there already keeps the earlier time. */
  runAt?: Date
}

/** `finished`: done, and the job's row went in the statement that recorded it (`finishLeases`). */
export type JobOutcome = ({ status: 'done' } | { status: 'finished' } | { status: 'retry'; at: Date }) & {
  /** For a tenant's share of the places (`Shares`), where the run waited for somebody. */
  otherSide?: OtherSide
}

/** Handles one job. Must be safe to repeat: the process may die after the act and before the record. A throw means back-off. */
export type JobHandler = (job: Job) => Promise<JobOutcome>

/** How a run ended, as it is recorded. */
export interface JobResult {
  job: Job
  /** Absent: done. */
  retryAt?: Date
  threw: boolean
}

const BACK_OFF_MS_FIRST = 1_000
export const BACK_OFF_MS_MAX = 300_000

/** Doubles with each attempt up to five minutes; between half and all of it, so that a herd spreads. `random` is in [0, 1). */
export function backOffMs(attempts: number, random: number): number {
  const full = Math.min(BACK_OFF_MS_FIRST * 2 ** (attempts - 1), BACK_OFF_MS_MAX)
  return Math.round(full * (0.5 + random / 2))
}
