import { reservedFor, type UpesiConfig } from './config.ts'

/** Batches of one queue at the same time, besides the reserved concurrency: without it throttled deliveries count as attempts. */
const MAX_CONCURRENCY = 10

/** Not more than there may be sandboxes; SQS knows nothing below two. */
export function batchesAtOnce(config: Pick<UpesiConfig, 'functions'>, id: 'webhooks' | 'payments'): number {
  const reserved = reservedFor(config, id)
  return typeof reserved === 'number' && reserved > 0
    ? Math.max(2, Math.min(MAX_CONCURRENCY, reserved))
    : MAX_CONCURRENCY
}
