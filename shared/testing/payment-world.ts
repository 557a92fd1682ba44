import { type Asset, createAsset, depositAssetLiquidity } from '../assets/index.ts'
import {
  createIncomingPayment,
  incomingPaymentUrl,
  loadIncomingPayment,
  processIncomingPayment,
} from '../incoming-payments/index.ts'
import { createPostgresLedger } from '../ledger/index.ts'
import { type Amount, rate } from '../money/index.ts'
import {
  createOutgoingPayment,
  fundOutgoingPayment,
  loadOutgoingPayment,
  type OutgoingPayment,
  processOutgoingPayment,
} from '../outgoing-payments/index.ts'
import { createPaymentMethods } from '../payment-methods/index.ts'
import { createCache, createDb, createSecretBox, silentLogger, sql, uuidv7 } from '../platform/index.ts'
import type { Job, LoadWithClaim, QueueName } from '../queue/index.ts'
import { claimJobs, finishJobs } from '../queue/store.ts'
import { createQuote } from '../quotes/index.ts'
import { createTenant, ensureOperatorTenant } from '../tenants/index.ts'
import { createWalletAddress, type WalletAddress } from '../wallet-addresses/index.ts'
import { type TestClock, testClock } from './clock.ts'
import { createTestDatabase } from './database.ts'
import { createFakeConnector } from './fake-connector.ts'
import { createFakeRemote } from './fake-remote.ts'

const OPEN_PAYMENTS_URL = 'https://bank.example'
const LIQUIDITY = 1_000_000n
const RUNS_MAX = 200

export type PaymentWorld = Awaited<ReturnType<typeof createPaymentWorld>>

/**
 * One node at the level of use cases: real database, real ledger, real queue; a connector and another node that are played. Time
 * stands still until the test moves it, unless it brings a clock of its own.
 */
export async function createPaymentWorld(clock: TestClock = testClock()) {
  const database = await createTestDatabase('resources')
  const log = silentLogger
  const db = createDb({ connectionString: database.connectionString })
  const ledger = createPostgresLedger({
    connectionString: database.connectionString,
    log,
    sweepIntervalMs: 0,
    clock,
  })
  const cache = createCache({ clock, lifeMs: 15_000 })
  const secretBox = createSecretBox('a secret of sufficient length for tests')
  const tenantId = uuidv7()
  const settings = {
    operatorTenantId: tenantId,
    openPaymentsUrl: OPEN_PAYMENTS_URL,
    ilpAddress: 'test.bank',
    webhookUrl: 'http://wallet.example/webhooks',
    webhookTimeoutMs: 2_000,
    webhookSignatureVersion: 1,
    sendTenantWebhooksToOperator: false,
    incomingPaymentExpiryMaxMs: 86_400_000,
    streamSecret: Buffer.alloc(32, 1),
    slippage: rate(1n, 100n),
    quoteLifespanMs: 300_000,
    outgoingPaymentAttemptsMax: 5,
    pollIncomingPaymentCreated: false,
    incomingPaymentCreatedPollTimeoutMs: 1,
    incomingPaymentCreatedPollFrequencyMs: 1,
  }
  const remote = createFakeRemote()
  const connector = createFakeConnector(
    () => ledger,
    (input, amount) => {
      const receiver = receiverOf.get(input.outgoingPaymentId)
      const payment = receiver === undefined ? undefined : remote.payments.get(receiver)
      if (payment) payment.received += amount
    },
  )
  const receiverOf = new Map<string, string>()
  const { grants, http: guardedHttp } = remote
  const base = { db, ledger, clock, log, cache, secretBox, settings, grants, guardedHttp, connector }
  const ctx = { ...base, methods: createPaymentMethods(base) }

  await ensureOperatorTenant(ctx, { id: tenantId, apiSecret: 'operator-secret' })
  const usd = await createAsset(ctx, { tenantId, code: 'USD', scale: 2 })
  const eur = await createAsset(ctx, { tenantId, code: 'EUR', scale: 2 })
  const deposit = (asset: Asset, amount = LIQUIDITY) =>
    depositAssetLiquidity(ctx, 'all', { assetId: asset.id, transferId: uuidv7(), amount })
  await Promise.all([deposit(usd), deposit(eur)])
  const wallet = (asset: Asset, name: string): Promise<WalletAddress> =>
    createWalletAddress(ctx, {
      tenantId: asset.tenantId,
      assetId: asset.id,
      address: `${OPEN_PAYMENTS_URL}/${name}`,
    })
  const alice = await wallet(usd, 'alice')
  const carol = await wallet(usd, 'carol')
  const bob = await wallet(eur, 'bob')

  /** Runs what is due on a queue, again and again, until nothing is. Returns how many runs that took. */
  const runJobs = async (queue: QueueName = 'outgoing-payments'): Promise<number> => {
    const handler = (job: Job) =>
      queue === 'incoming-payments' ? processIncomingPayment(ctx, job) : processOutgoingPayment(ctx, job)
    for (let runs = 0; runs < RUNS_MAX; ) {
      const jobs = await claim(queue, loads[queue])
      if (jobs.length === 0) return runs
      runs += jobs.length
      await Promise.all(jobs.map(async (job) => finish(job, await handler(job))))
    }
    throw new Error('jobs do not come to an end')
  }
  const loads: Partial<Record<QueueName, LoadWithClaim>> = {
    'outgoing-payments': loadOutgoingPayment,
    'incoming-payments': loadIncomingPayment,
  }
  const claim = async (queue: QueueName = 'outgoing-payments', load?: LoadWithClaim): Promise<Job[]> => {
    const free = { idle: { own: 100, places: 100 }, tenants: new Map(), common: 0 }
    const terms = { queue, now: clock.now(), limit: 100, leaseSeconds: 30, free, ...(load && { load }) }
    return (await claimJobs(db, terms)).jobs
  }
  const finish = async (job: Job, outcome: Awaited<ReturnType<typeof processOutgoingPayment>>) => {
    const retry = outcome.status === 'retry' ? { retryAt: outcome.at } : {}
    await finishJobs(db, job.queue, [{ job, threw: false, ...retry }])
  }

  const incoming = async (walletAddress: WalletAddress, value?: bigint, expiresAt?: Date) => {
    const { code: assetCode, scale: assetScale } = walletAddress.asset
    const payment = await createIncomingPayment(ctx, {
      tenantId: walletAddress.tenantId,
      walletAddress,
      initiatedBy: 'ADMIN',
      ...(value !== undefined && { incomingAmount: { value, assetCode, assetScale } }),
      ...(expiresAt && { expiresAt }),
    })
    return { ...payment, url: incomingPaymentUrl(OPEN_PAYMENTS_URL, payment) }
  }
  const quote = (
    payer: WalletAddress,
    receiver: string,
    amounts: { debit?: bigint; receive?: Amount } = {},
  ) =>
    createQuote(ctx, {
      tenantId: payer.tenantId,
      walletAddressId: payer.id,
      receiver,
      ...(amounts.receive && { receiveAmount: amounts.receive }),
      ...(amounts.debit !== undefined && {
        debitAmount: { value: amounts.debit, assetCode: payer.asset.code, assetScale: payer.asset.scale },
      }),
    })
  /** A payment in FUNDING. */
  const outgoing = async (
    payer: WalletAddress,
    receiver: string,
    amounts: { debit?: bigint; receive?: Amount } = {},
  ): Promise<OutgoingPayment> => {
    const { id: quoteId, tenantId } = await quote(payer, receiver, amounts)
    receiverOf.set(quoteId, receiver)
    return await createOutgoingPayment(ctx, {
      tenantId,
      walletAddressId: payer.id,
      quoteId,
      initiatedBy: 'ADMIN',
    })
  }
  const fund = (payment: OutgoingPayment) =>
    fundOutgoingPayment(ctx, { tenantId: payment.tenantId }, { outgoingPaymentId: payment.id })

  let tenants = 0
  /** Another tenant with a USD wallet address of its own. */
  const addTenant = async () => {
    const name = `other${++tenants}`
    const tenant = await createTenant(ctx, {
      apiSecret: `secret-${uuidv7()}`,
      settings: [{ key: 'WALLET_ADDRESS_URL', value: `${OPEN_PAYMENTS_URL}/${name}` }],
    })
    const asset = await createAsset(ctx, { tenantId: tenant.id, code: 'USD', scale: 2 })
    await deposit(asset)
    return { tenantId: tenant.id, asset, wallet: await wallet(asset, `${name}/dave`) }
  }

  const events = (type: string) =>
    db.many(
      (row) => ({ id: row.id as string, data: row.data, withdrawal: row.withdrawal_amount as bigint | null }),
      sql`select id, data, withdrawal_amount from webhook_events where type = ${type} order by created_at, id`,
    )
  /** Every ledger balances: what liquidity accounts hold is what settlement owes, and nothing is reserved. */
  const audit = () =>
    db.many(
      (row) => ({
        ledger: row.ledger as number,
        difference: row.difference as bigint,
        pending: row.pending as bigint,
      }),
      sql`select ledger, sum(credits_posted - debits_posted)::numeric as difference, sum(debits_pending)::numeric as pending
        from ledger.accounts group by ledger order by ledger`,
    )

  return {
    ctx,
    db,
    ledger,
    clock,
    tenantId,
    connector,
    remote,
    usd,
    eur,
    alice,
    bob,
    carol,
    deposit,
    addTenant,
    incoming,
    quote,
    outgoing,
    fund,
    claim,
    finish,
    runJobs,
    events,
    audit,
    async close() {
      await ledger.close()
      await db.close()
      await database.drop()
    },
  }
}
