import { startConnector } from '../connector/wiring.ts'
import { type AdminClient, createAdminClient } from '../examples/mock-wallet/admin-client.ts'
import { type MockWallet, startMockWallet } from '../examples/mock-wallet/index.ts'
import { startAdmin } from '../functions/admin/wiring.ts'
import { startAuth } from '../functions/auth/wiring.ts'
import { startOpenPayments } from '../functions/open-payments/wiring.ts'
import { startPayments } from '../functions/payments/wiring.ts'
import { startRelayProcess } from '../functions/relay/wiring.ts'
import { startWebhooks } from '../functions/webhooks/wiring.ts'
import {
  type Logger,
  messageOf,
  type RunningDeployable,
  type StartDeployable,
} from '../shared/platform/index.ts'
import { authEnvironment, type BankSettings } from './bank-settings.ts'
import type { WalletEvent } from './journal.ts'

/** One bank, all of its deployables in this process, and the wallet that it serves. */
export interface Bank {
  settings: BankSettings
  environment: Record<string, string>
  admin: AdminClient
  wallet: MockWallet
  deployables: RunningDeployable[]
  close(): Promise<void>
}

export const deployableNames = [
  'auth',
  'connector',
  'open-payments',
  'admin',
  'webhooks',
  'payments',
  'relay',
] as const
export type DeployableName = (typeof deployableNames)[number]

// Auth first: admin mirrors nothing to it yet, but the others ask it. Workers last, when what they call listens.
const starts: readonly (readonly [DeployableName, StartDeployable])[] = [
  ['auth', startAuth],
  ['connector', startConnector],
  ['open-payments', startOpenPayments],
  ['admin', startAdmin],
  ['webhooks', startWebhooks],
  ['payments', startPayments],
  ['relay', startRelayProcess],
]

/** Between the jobs and a broker. Without one there is nothing to relay. */
const isNeeded = (name: DeployableName, environment: Record<string, string>): boolean =>
  name !== 'relay' || (environment.QUEUE_DRIVER ?? 'postgres') !== 'postgres'

/** Closes in reverse order and lets every part close, whatever the others say. */
export async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of [...parts].reverse()) {
    try {
      await part.close()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join('; '))
}

/** Starts a bank's deployables in this process; stops what it started when one fails. */
export async function startDeployables(input: {
  settings: BankSettings
  environment: Record<string, string>
  except?: readonly DeployableName[]
}): Promise<RunningDeployable[]> {
  const started: RunningDeployable[] = []
  try {
    for (const [name, start] of starts) {
      if (input.except?.includes(name) || !isNeeded(name, input.environment)) continue
      const environment =
        name === 'auth' ? authEnvironment(input.settings, input.environment) : input.environment
      started.push(await start(environment))
    }
    return started
  } catch (error) {
    await closeAll(started).catch(() => undefined)
    throw error
  }
}

/** Starts a bank with its wallet; `except` leaves out deployables that run elsewhere. */
export async function startBank(input: {
  settings: BankSettings
  environment: Record<string, string>
  rates: Record<string, Record<string, string>>
  log: Logger
  /** Each webhook that the wallet received, once. */
  onEvent: (event: WalletEvent) => void
  except?: readonly DeployableName[]
}): Promise<Bank> {
  const { settings, environment, log } = input
  const adminUrl = `http://localhost:${settings.ports.admin}/graphql`
  const credentials = { tenantId: settings.operatorTenantId, secret: settings.adminApiSecret }
  const wallet = await startMockWallet({
    port: settings.ports.wallet,
    webhookSecret: settings.signatureSecret,
    adminUrl,
    tenantId: credentials.tenantId,
    adminSecret: credentials.secret,
    rates: input.rates,
    consent: {
      bankName: environment.INSTANCE_NAME ?? '',
      interactionUrl: `http://localhost:${settings.ports.interaction}`,
      idpSecret: settings.identityServerSecret,
      authServerUrl: `http://localhost:${settings.ports.auth}`,
    },
    onEvent: input.onEvent,
    log,
  })
  try {
    const deployables = await startDeployables(input)
    const admin = createAdminClient({ url: adminUrl, ...credentials })
    return {
      settings,
      environment,
      admin,
      wallet,
      deployables,
      close: () => closeAll([wallet, ...deployables]),
    }
  } catch (error) {
    await wallet.close()
    throw error
  }
}
