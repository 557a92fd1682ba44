import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configuration, type Db, silentLogger } from '../../shared/platform/index.ts'
import { createTelemetry, telemetryVariables, toPrometheus } from '../../shared/telemetry/index.ts'
import { observeAttempts } from './observe-attempts.ts'

test('attempts are counted by what came back, and receivers cannot invent statuses', async () => {
  const telemetry = await createTelemetry(configuration.loadConfig(telemetryVariables, {}), {
    name: 'webhooks',
    log: silentLogger,
  })
  const db = { one: async () => 7 } as unknown as Db
  const onAttempt = observeAttempts(telemetry, db)
  const made = (status?: number) => ({
    number: 1,
    at: new Date(),
    latencyMs: 12,
    ...(status !== undefined && { status }),
  })
  onAttempt(made(200), 'answered')
  onAttempt(made(503), 'answered')
  for (let status = 600; status < 999; status++) onAttempt(made(status), 'answered')
  onAttempt(made(), 'silent')
  onAttempt(made(), undefined)
  const text = toPrometheus(await telemetry.instruments.collect())
  const lines = text.split('\n').filter((line) => line.startsWith('upesi_webhook_attempts_total{'))
  assert.deepEqual(lines, [
    'upesi_webhook_attempts_total{status="200"} 1',
    'upesi_webhook_attempts_total{status="503"} 1',
    'upesi_webhook_attempts_total{status="other"} 399',
    'upesi_webhook_attempts_total{status="silent"} 1',
    'upesi_webhook_attempts_total{status="error"} 1',
  ])
  assert.match(text, /^upesi_webhook_attempt_ms_count\{outcome="refused"\} 400$/m)
  assert.match(text, /^upesi_webhook_deliveries_dead 7$/m)
  await telemetry.close()
})
