import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { loadConnectorConfig } from '../../connector/config.ts'
import { loadAdminConfig } from '../../functions/admin/config.ts'
import { loadAuthConfig } from '../../functions/auth/config.ts'
import { loadAutoPeeringConfig } from '../../functions/auto-peering/config.ts'
import { loadMigrateConfig } from '../../functions/migrate/config.ts'
import { loadOpenPaymentsConfig } from '../../functions/open-payments/config.ts'
import { loadPaymentsConfig } from '../../functions/payments/config.ts'
import { loadRelayConfig } from '../../functions/relay/config.ts'
import { loadWebhooksConfig } from '../../functions/webhooks/config.ts'
import type { Environment } from '../../shared/platform/index.ts'
import { withoutHelm } from './render.ts'
import { type Placed, placedWorkloads } from './rendered-variants.ts'
import { dataOf, find } from './workloads.ts'

const loaders: Readonly<Record<string, (env: Environment) => unknown>> = {
  admin: loadAdminConfig,
  auth: loadAuthConfig,
  'auto-peering': loadAutoPeeringConfig,
  connector: loadConnectorConfig,
  migrate: loadMigrateConfig,
  'open-payments': loadOpenPaymentsConfig,
  payments: loadPaymentsConfig,
  relay: loadRelayConfig,
  webhooks: loadWebhooksConfig,
}

/** What a container's process finds. Undefined where some of it is in Secrets of others. */
function environmentOf({ spec, manifests }: Placed): Environment | undefined {
  const environment: Record<string, string> = {}
  for (const { configMapRef, secretRef } of spec.containers[0]?.envFrom ?? []) {
    const [kind, { name }] = configMapRef
      ? ['ConfigMap', configMapRef]
      : ['Secret', secretRef ?? { name: '' }]
    if (!manifests.some((each) => each.kind === kind && each.metadata.name === name)) return undefined
    Object.assign(environment, dataOf(find(manifests, kind, name)))
  }
  for (const { name, value } of spec.containers[0]?.env ?? []) {
    if (value === undefined) return undefined
    environment[name] = value
  }
  return environment
}

describe('what the chart tells processes', { skip: withoutHelm }, () => {
  test('every process of every variant takes it', () => {
    const seen = new Set<string>()
    for (const placed of placedWorkloads()) {
      const [, role = ''] = /^dist\/([a-z-]+)\//.exec(placed.spec.containers[0]?.command?.[1] ?? '') ?? []
      const load = loaders[role]
      if (load === undefined) continue
      const environment = environmentOf(placed)
      if (environment === undefined) continue
      assert.doesNotThrow(() => load(environment), placed.where)
      seen.add(role)
    }
    assert.deepEqual([...seen].sort(), Object.keys(loaders).sort())
  })
})
