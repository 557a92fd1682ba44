import { STATUS_CODES } from 'node:http'
import type { Db } from '../../shared/platform/index.ts'
import type { OtherSide } from '../../shared/queue/index.ts'
import type { Telemetry } from '../../shared/telemetry/index.ts'
import { countDeadDeliveries, type WebhookAttempt } from '../../shared/webhooks/index.ts'

/** Receivers answer with any number they like: those without a name are one. */
const statusOf = ({ status }: WebhookAttempt, otherSide: OtherSide | undefined): string => {
  if (status !== undefined) return STATUS_CODES[status] === undefined ? 'other' : String(status)
  return otherSide === 'silent' ? 'silent' : 'error'
}

const outcomeOf = ({ status }: WebhookAttempt): string => {
  if (status === undefined) return 'silent'
  return status === 200 ? 'accepted' : 'refused'
}

/** Counts attempts by what came back, and shows what was given up. */
export function observeAttempts({ instruments }: Telemetry, db: Db) {
  const attempts = instruments.counter('upesi_webhook_attempts')
  const times = instruments.histogram('upesi_webhook_attempt_ms')
  instruments.observe('upesi_webhook_deliveries_dead', async () => [{ value: await countDeadDeliveries(db) }])
  return (made: WebhookAttempt, otherSide: OtherSide | undefined): void => {
    attempts.add(1, { status: statusOf(made, otherSide) })
    times.record(made.latencyMs ?? 0, { outcome: outcomeOf(made) })
  }
}
