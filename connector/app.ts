import { setTimeout as sleep } from 'node:timers/promises'
import type { PartialDecisions } from '../shared/incoming-payments/index.ts'
import type { Ledger } from '../shared/ledger/index.ts'
import type { Clock, HttpClient, Listener, Logger } from '../shared/platform/index.ts'
import { createCredentialReader } from '../shared/stream-credentials/index.ts'
import { createUsd, type Telemetry, type Usd } from '../shared/telemetry/index.ts'
import { type Counters, createCounters, observeCounters } from './counters.ts'
import { createPacketServer, createPeerTransport, listen } from './http/index.ts'
import type { Limits } from './limits/index.ts'
import {
  createDeliveries,
  createPacketObserver,
  createPipeline,
  createProgressRecorder,
  type KeptPackets,
  type Payees,
  type Pipeline,
  type PipelineOptions,
  type WriteProgress,
} from './pipeline/index.ts'
import {
  createRates,
  type Rates,
  type RatesOptions,
  type RatesRefusalCode,
  type RatesSource,
} from './rates/index.ts'
import type { StreamTotals } from './receipts/stream-totals.ts'
import { createPeerDirectory, type Peer, type PeerDirectory } from './routing/index.ts'
import { createRpcServer, createSessions, observeCalls, type SendRecords } from './rpc/index.ts'
import type { StreamRejects } from './stream/index.ts'

/** What the connector stands on. The database is behind these few functions: none of them is called for an ordinary packet of others. */
export interface ConnectorContext {
  ledger: Ledger
  clock: Clock
  log: Logger
  listener: Pick<Listener, 'listen'>
  guardedHttp: HttpClient
  /** All peers of all tenants, and where their changes are announced. */
  loadPeers: () => Promise<readonly Peer[]>
  peersChannel: string
  /** The address under which a tenant receives. */
  ilpAddressOf: PipelineOptions['ilpAddressOf']
  ratesSource: (tenantId: string) => Promise<RatesSource | undefined>
  telemetry: Telemetry
  /** Prices for what is counted of amounts, where a tenant has none. */
  telemetryRates?: { source: RatesSource; lifetimeMs: number }
  payees: Payees
  writeProgress: WriteProgress
  /** Where wallets decide about packets that bring words of their sender. */
  partialDecisions?: PartialDecisions
  records: SendRecords
  kept: KeptPackets
  /** For receipts. */
  streamTotals: StreamTotals
  /** What peers may send. */
  createLimits: (counters: Counters) => Limits
  /** Throws when a dependency is away. */
  ready: () => Promise<void>
}

export interface ConnectorSettings {
  operatorTenantId: string
  ilpAddress: string
  streamSecret: Buffer
  streamRejects: StreamRejects
  /** TIGERBEETLE_TWO_PHASE_TIMEOUT_SECONDS. */
  holdSecondsMin: number
  packetsPerMinute: number
  ilpTiming: boolean
  ratesLifetimeMs: number
  ratesChangeMax: number
  ratesAgeMaxMs: number
  rpcSecrets: readonly string[]
  connectorPort: number
  rpcPort: number
  /** CONNECTOR_SHUTDOWN_NOTICE_MS. */
  shutdownNoticeMs: number
}

export interface Connector {
  pipeline: Pipeline
  directory: PeerDirectory
  counters: Counters
  ports: { connector: number; rpc: number }
  /** Says that it ends, then takes nothing new, finishes every packet under way, records what was sent. */
  close(): Promise<void>
}

/** Longer than any packet lives: see `shorten-expiry`. */
const DRAIN_MS = 35_000
const RECORD_MS = 5_000

/** Builds the connector and listens. */
export async function buildConnectorApp(
  ctx: ConnectorContext,
  settings: ConnectorSettings,
): Promise<Connector> {
  const { clock, log, ledger } = ctx
  const { telemetry } = ctx
  const counters = createCounters()
  observeCounters(telemetry.instruments, counters)
  const limits = ctx.createLimits(counters)
  const directory = await createPeerDirectory({ ...ctx, channel: ctx.peersChannel })
  const ratesFailures = telemetry.instruments.counter('upesi_rates_failures')
  const rateChecks = {
    changeMax: settings.ratesChangeMax,
    ageMaxMs: settings.ratesAgeMaxMs,
    onFailure: (code: RatesRefusalCode) => ratesFailures.add(1, { code }),
  }
  const rates = createRates({
    ...rateChecks,
    clock,
    log,
    source: ctx.ratesSource,
    lifetimeMs: settings.ratesLifetimeMs,
  })
  const transport = createPeerTransport({
    isTrusted: (peer) => peer.tenantId === settings.operatorTenantId && !peer.isEndpointForeign,
    guarded: ctx.guardedHttp,
    clock,
  })
  const progress = createProgressRecorder({ write: ctx.writeProgress, log, counters })
  const observer = createPacketObserver({ ...settings, telemetry, usd: countedInUsd(ctx, rates, rateChecks) })
  const pipeline = createPipeline({
    ...settings,
    observer,
    ledger,
    clock,
    log,
    counters,
    directory,
    kept: ctx.kept,
    transport,
    rates,
    progress,
    streamTotals: ctx.streamTotals,
    limits,
    ...(ctx.partialDecisions && { partialDecisions: ctx.partialDecisions }),
    deliveries: createDeliveries({ payees: ctx.payees, ledger, clock }),
    reader: createCredentialReader(settings),
    ilpAddressOf: ctx.ilpAddressOf,
  })
  telemetry.instruments.observe('upesi_packets_in_flight', () => [{ value: pipeline.inFlight }])
  const sessions = createSessions({ pipeline, ledger, records: ctx.records, kept: ctx.kept, clock, log })
  const packets = createPacketServer({ ...settings, pipeline, directory, ready: ctx.ready, log })
  const rpc = createRpcServer({
    ledger,
    sessions,
    pipeline,
    directory,
    rates,
    telemetry,
    observeCall: observeCalls(telemetry, log),
    clock,
    log,
    secrets: settings.rpcSecrets,
    ready: ctx.ready,
  })
  const close = async () => {
    packets.announceEnd()
    rpc.announceEnd()
    await sleep(settings.shutdownNoticeMs)
    // What still sends and receives comes first: its packets need the rest to end well.
    await Promise.all([sessions.close(), packets.drain(DRAIN_MS)])
    await rpc.drain(DRAIN_MS)
    await progress.close(RECORD_MS)
    await directory.close()
    await transport.close()
    await limits.close()
    await ctx.streamTotals.close()
  }
  try {
    const connector = await listen(packets.server, settings.connectorPort)
    return {
      pipeline,
      directory,
      counters,
      ports: { connector, rpc: await listen(rpc.server, settings.rpcPort) },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

type RateChecks = Pick<RatesOptions, 'changeMax' | 'ageMaxMs' | 'onFailure'>

/**
 * The tenant's own prices where they are at hand. They are asked for, and then those of the telemetry, only when metrics go to a
 * collector: counting is no reason to call anybody.
 */
function countedInUsd(ctx: ConnectorContext, rates: Rates, checks: RateChecks): Usd {
  const { clock, log, telemetry, telemetryRates } = ctx
  const destinationAssetCode = 'USD'
  const others =
    telemetryRates &&
    createRates({ ...telemetryRates, ...checks, clock, log, source: async () => telemetryRates.source })
  const ask = async (tenantId: string, sourceAssetCode: string) => {
    const input = { tenantId, sourceAssetCode, destinationAssetCode, tolerance: 'recent' as const }
    try {
      return await rates.price(input)
    } catch (error) {
      if (!others) throw error
      return await others.price({ ...input, tenantId: 'telemetry' })
    }
  }
  return createUsd({
    now: (tenantId, sourceAssetCode) =>
      rates.priceNow({ tenantId, sourceAssetCode, destinationAssetCode, tolerance: 'recent' }),
    ...(telemetry.exports && { ask }),
  })
}
