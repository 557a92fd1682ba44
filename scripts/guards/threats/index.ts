import type { ThreatTable } from '../guard.ts'
import { adminThreats } from './admin.ts'
import { authorizationServerThreats } from './authorization-server.ts'
import { awsThreats } from './aws.ts'
import { chartThreats } from './chart.ts'
import { connectorThreats } from './connector.ts'
import { egressThreats } from './egress.ts'
import { graphqlThreats } from './graphql.ts'
import { interactionThreats } from './interactions.ts'
import { keyThreats } from './keys.ts'
import { lambdaThreats } from './lambda.ts'
import { ledgerThreats } from './ledger.ts'
import { ledgerCopyThreats } from './ledger-copy.ts'
import { limitThreats } from './limits.ts'
import { moneyFaults } from './money-faults.ts'
import { nodeTenantThreats } from './node-tenants.ts'
import { partialPaymentThreats } from './partial-payments.ts'
import { queueDriverThreats } from './queue-drivers.ts'
import { resourceServerThreats } from './resource-server.ts'
import { signatureThreats } from './signatures.ts'
import { telemetryThreats } from './telemetry.ts'
import { tenantThreats } from './tenants.ts'
import { upgradeThreats } from './upgrades.ts'
import { webhookThreats } from './webhooks.ts'
import { workerFaults } from './worker-faults.ts'

/** Every guard that must not disappear unnoticed. */
export const threatTables: readonly ThreatTable[] = [
  signatureThreats,
  egressThreats,
  resourceServerThreats,
  authorizationServerThreats,
  interactionThreats,
  limitThreats,
  adminThreats,
  tenantThreats,
  nodeTenantThreats,
  graphqlThreats,
  keyThreats,
  connectorThreats,
  ledgerThreats,
  webhookThreats,
  queueDriverThreats,
  partialPaymentThreats,
  upgradeThreats,
  telemetryThreats,
  ledgerCopyThreats,
  moneyFaults,
  workerFaults,
  lambdaThreats,
  awsThreats,
  chartThreats,
]
