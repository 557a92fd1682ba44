/**
 * For tests: a whole connector on a database of its own, with real sockets, and the few steps that make assets, peers and
 * payments on it. Imported by tests only.
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAsset, depositAssetLiquidity } from '../../shared/assets/index.ts'
import {
  type ConnectorClient,
  connectorRpcSecret,
  createConnectorClient,
} from '../../shared/connector-client/index.ts'
import {
  createIncomingPayment,
  type IncomingPayment,
  paymentMethodsOf,
} from '../../shared/incoming-payments/index.ts'
import { accountCode, availableCredit, settlementAccountId, transferCode } from '../../shared/ledger/index.ts'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { createPeer, type Peer } from '../../shared/peers/index.ts'
import { createTrustedHttp, uuidv7 } from '../../shared/platform/index.ts'
import { createWalletAddress } from '../../shared/wallet-addresses/index.ts'
import { buildConnectorApp, type Connector, type ConnectorContext } from '../app.ts'
import { type ConnectorConfig, loadConnectorConfig } from '../config.ts'
import type { LedgerAsset } from '../routing/index.ts'
import type { SendTotals } from '../rpc/index.ts'
import { connectorContext, connectorSettings, ledgerOf, openShared, outboundOfConnector } from '../wiring.ts'

export interface TestNodeOptions {
  connectionString: string
  /** Default `test.node`. */
  ilpAddress?: string
  env?: Record<string, string>
  /** Sent payments are recorded in their rows, which must exist; default: in memory. */
  recordInRows?: boolean
  /** Wraps parts of the context: to break the ledger, or to fix the time. */
  change?: (ctx: ConnectorContext, node: NodeContext) => Partial<ConnectorContext>
}

export interface TestNode {
  node: NodeContext
  config: ConnectorConfig
  connector: Connector
  /** Where peers post packets. */
  url: string
  client: ConnectorClient
  /** What was recorded of sent payments: in memory here, by payment id. */
  sent: Map<string, SendTotals>
  asset(code: string, scale: number, liquidity?: bigint): Promise<LedgerAsset>
  peer(
    asset: LedgerAsset,
    options: {
      address: string
      endpoint?: string
      /** What it presents; default: a new one. */
      token?: string
      outgoingToken?: string
      liquidity?: bigint
      maxPacketAmount?: bigint
      packetsPerMinute?: number
      amountLimit?: { amount: bigint; seconds: number }
      routes?: string[]
    },
  ): Promise<Peer & { token: string }>
  incomingPayment(asset: LedgerAsset, incomingAmount?: bigint): Promise<TestReceiver>
  /** A funded account, as an outgoing payment has it. */
  fundedPayment(asset: LedgerAsset, amount: bigint): Promise<string>
  /** What the account can still pay. */
  balance(accountId: string): Promise<bigint>
  /** All that was ever credited. */
  credited(accountId: string): Promise<bigint>
  close(): Promise<void>
}

export interface TestReceiver {
  payment: IncomingPayment
  ilpAddress: string
  sharedSecret: string
}

/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9/'
const tenantId = '0a1b2c3d-0000-4000-8000-000000000001'
const walletUrl = 'https://wallet.example'

/** Everything that `startConnector` reads. */
export const testEnvironment = (options: TestNodeOptions): Record<string, string> => ({
  LOG_LEVEL: 'silent',
  USE_TIGERBEETLE: 'false',
  DATABASE_URL: options.connectionString,
  DATABASE_POOL_SIZE: '4',
  OPERATOR_TENANT_ID: tenantId,
  ADMIN_API_SECRET: 'admin-secret',
  OPEN_PAYMENTS_URL: walletUrl,
  AUTH_SERVER_GRANT_URL: 'https://auth.example',
  WEBHOOK_URL: 'http://127.0.0.1:9/webhooks',
  KEY_ID: 'test-key',
  ILP_ADDRESS: options.ilpAddress ?? 'test.node',
  STREAM_SECRET: Buffer.alloc(32, 7).toString('base64'),
  CONNECTOR_PORT: '0',
  CONNECTOR_RPC_PORT: '0',
  CONNECTOR_SHUTDOWN_NOTICE_MS: '0',
  REDIS_URL: 'none',
  ...options.env,
})

export async function startTestNode(options: TestNodeOptions): Promise<TestNode> {
  const config = loadConnectorConfig(testEnvironment(options))
  const node = await createNodeContext(config, {
    name: 'connector',
    outbound: outboundOfConnector,
    ...ledgerOf(config),
  })
  const sent = new Map<string, SendTotals>()
  const real = { ...connectorContext(node, config), ...(await openShared(node, config)) }
  const wired: ConnectorContext = options.recordInRows
    ? real
    : { ...real, records: recordsIn(sent, real.records) }
  const ctx = { ...wired, ...options.change?.(wired, node) }
  const connector = await buildConnectorApp(ctx, connectorSettings(config))
  const http = createTrustedHttp()
  const client = createConnectorClient({
    url: `http://127.0.0.1:${connector.ports.rpc}`,
    secret: connectorRpcSecret(config),
    http,
    clock: ctx.clock,
  })
  const account = async (id: string) => {
    const [found] = await node.ledger.lookupAccounts([id])
    if (!found) throw new Error(`no account ${id}`)
    return found
  }

  return {
    node,
    config,
    connector,
    url: `http://127.0.0.1:${connector.ports.connector}`,
    client,
    sent,
    asset: (code, scale, liquidity = 0n) => makeAsset(node, { code, scale, liquidity }),
    async peer(asset, peer) {
      const token = peer.token ?? randomBytes(12).toString('hex')
      const created = await createPeer(node, {
        assetId: asset.id,
        staticIlpAddress: peer.address,
        outgoing: { endpoint: peer.endpoint ?? NOWHERE, authToken: peer.outgoingToken ?? 'outgoing-token' },
        incoming: { authTokens: [token] },
        ...(peer.liquidity !== undefined && { initialLiquidity: peer.liquidity }),
        ...(peer.maxPacketAmount !== undefined && { maxPacketAmount: peer.maxPacketAmount }),
        ...(peer.packetsPerMinute !== undefined && { packetsPerMinute: peer.packetsPerMinute }),
        ...(peer.amountLimit && { amountLimit: peer.amountLimit }),
        ...(peer.routes && { routes: peer.routes }),
      })
      await untilRouted(connector, asset, peer.address)
      return { ...created, token }
    },
    incomingPayment: (asset, incomingAmount) => makeReceiver(node, asset, incomingAmount),
    fundedPayment: (asset, amount) => fundPayment(node, asset, amount),
    balance: async (id) => availableCredit(await account(id)),
    credited: async (id) => (await account(id)).creditsPosted,
    async close() {
      await connector.close()
      await http.close()
      await node.close()
    },
  }
}

/** Until the notification of the new peer has arrived. */
async function untilRouted(connector: Connector, asset: LedgerAsset, destination: string): Promise<void> {
  const query = { tenantId, destination, assetId: asset.id }
  for (let attempt = 0; connector.directory.findRoute(query)?.staticIlpAddress !== destination; attempt++) {
    if (attempt > 1000) throw new Error(`no route to ${destination}`)
    await sleep(2)
  }
}

const nothingSent: SendTotals = {
  sentAmount: 0n,
  deliveredAmount: 0n,
  packets: { sent: 0, fulfilled: 0, rejected: 0 },
  rejects: [],
}

const recordsIn = (
  sent: Map<string, SendTotals>,
  rows: ConnectorContext['records'],
): ConnectorContext['records'] => ({
  getSendProgress: async (id) => ({ ...(sent.get(id) ?? nothingSent), state: 'SENDING' }),
  recordSendProgress: async (id, totals, answered) => {
    sent.set(id, totals)
    // There is no row of the payment, but there are those of its packets.
    await rows.recordSendProgress(id, totals, answered)
  },
  async recordAnswers(input) {
    const { sentAmount, deliveredAmount, packets, rejects } = sent.get(input.outgoingPaymentId) ?? nothingSent
    const fulfilled = packets.fulfilled + input.answered.length
    sent.set(input.outgoingPaymentId, {
      sentAmount: input.answered.reduce((sum, packet) => sum + packet.sentAmount, sentAmount),
      deliveredAmount: input.answered.reduce((sum, packet) => sum + packet.deliveredAmount, deliveredAmount),
      packets: { ...packets, fulfilled, sent: Math.max(packets.sent, fulfilled + packets.rejected) },
      rejects,
    })
    await rows.recordAnswers(input)
  },
})

async function makeAsset(
  node: NodeContext,
  input: { code: string; scale: number; liquidity: bigint },
): Promise<LedgerAsset> {
  const asset = await createAsset(node, { tenantId, code: input.code, scale: input.scale })
  if (input.liquidity > 0n)
    await depositAssetLiquidity(node, 'all', {
      assetId: asset.id,
      transferId: uuidv7(),
      amount: input.liquidity,
    })
  return { id: asset.id, assetCode: asset.code, assetScale: asset.scale, ledger: asset.ledger }
}

async function makeReceiver(
  node: NodeContext,
  asset: LedgerAsset,
  incomingAmount?: bigint,
): Promise<TestReceiver> {
  const walletAddress = await createWalletAddress(node, {
    tenantId,
    assetId: asset.id,
    address: `${walletUrl}/${uuidv7()}`,
  })
  const payment = await createIncomingPayment(node, {
    tenantId,
    walletAddress,
    initiatedBy: 'ADMIN',
    ...(incomingAmount !== undefined && {
      incomingAmount: { value: incomingAmount, assetCode: asset.assetCode, assetScale: asset.assetScale },
    }),
  })
  const [method] = await paymentMethodsOf(node, payment)
  if (!method) throw new Error('an open payment has a method')
  return { payment, ilpAddress: method.ilpAddress, sharedSecret: method.sharedSecret }
}

async function fundPayment(node: NodeContext, asset: LedgerAsset, amount: bigint): Promise<string> {
  const id = uuidv7()
  await node.ledger.createAccounts([
    {
      id,
      ledger: asset.ledger,
      code: accountCode.outgoingPayment,
      debitsMustNotExceedCredits: true,
      userData128: asset.id,
    },
  ])
  const [status] = await node.ledger.createTransfers([
    {
      kind: 'posted',
      id: uuidv7(),
      debitAccountId: settlementAccountId(asset.ledger),
      creditAccountId: id,
      ledger: asset.ledger,
      code: transferCode.deposit,
      amount,
    },
  ])
  if (status !== 'created') throw new Error(`not funded: ${status}`)
  return id
}
