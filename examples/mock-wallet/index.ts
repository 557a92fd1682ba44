/**
 * A wallet (account servicing entity) as small as it can be and still be right: it takes webhooks, funds payments, takes out
 * what arrives, quotes prices, and asks its customers for their consent. Read it to see what a wallet has to do; `npm start` and the tests run it. What is always
 * true: an event changes the books once, however often it is delivered; it is answered with 200 only after it was handled.
 */
import { createHttpApp, type Logger, listenOn, messageOf } from '../../shared/platform/index.ts'
import { type Account, type Accounts, createAccounts } from './accounts.ts'
import { type AdminClient, createAdminClient } from './admin-client.ts'
import { addConsentRoutes, type ConsentOptions } from './consent/routes.ts'
import { handleEvent } from './handle-event.ts'
import { type RateTable, ratesAnswer } from './rates.ts'
import { isSigned, readEvent, type WalletEvent } from './webhook-signature.ts'

export { AdminApiError, type AdminClient, createAdminClient } from './admin-client.ts'
export type { Account, ConsentOptions, RateTable, WalletEvent }

export interface MockWalletOptions {
  /** 0: any free one. */
  port: number
  /** SIGNATURE_SECRET of the node. */
  webhookSecret: string
  adminUrl: string
  tenantId: string
  adminSecret: string
  rates: RateTable
  /** Absent: no consent page. */
  consent?: ConsentOptions
  log: Logger
  /** Each event when it arrives for the first time, before it is handled. */
  onEvent?: (event: WalletEvent) => void
  /** What each customer starts out with, in smallest units. */
  openingBalance?: bigint
}

export interface MockWallet {
  port: number
  /** Events as they came, each once, the oldest first; the last ten thousand. */
  events: readonly WalletEvent[]
  /** A customer's account by wallet address id. */
  account(walletAddressId: string): Account
  /** Makes payments wait for their money until the returned function is called. */
  holdDeposits(): () => void
  /** Resolves when every event that has arrived is handled. */
  settled(): Promise<void>
  close(): Promise<void>
}

const OPENING_BALANCE = 1_000_000_000_00n
const EVENTS_KEPT = 10_000

export async function startMockWallet(options: MockWalletOptions): Promise<MockWallet> {
  const { log } = options
  const admin = createAdminClient({
    url: options.adminUrl,
    tenantId: options.tenantId,
    secret: options.adminSecret,
  })
  const accounts: Accounts = createAccounts(options.openingBalance ?? OPENING_BALANCE)
  const inbox = createInbox(options.onEvent)
  let deposits: Promise<void> = Promise.resolve()
  const ctx = { admin, accounts, log, depositsAllowed: () => deposits }

  const app = await createHttpApp({ log })
  app.post('/webhooks', async (request, reply) => {
    const event = readEvent(request.body)
    if (!event) return reply.status(400).send()
    if (!isSigned(event, request.headers['rafiki-signature'], options.webhookSecret, Date.now()))
      return reply.status(401).send()
    try {
      await inbox.handleOnce(event, () => handleEvent(ctx, event))
      return reply.status(200).send()
    } catch (error) {
      // Not 200: the node sends the event again, and then it may work.
      log.warn({ eventId: event.id, type: event.type, reason: messageOf(error) }, 'event not handled')
      return reply.status(500).send()
    }
  })
  app.get('/rates', async (request, reply) => {
    const { base } = request.query as { base?: unknown }
    if (typeof base !== 'string') return reply.status(400).send()
    const answer = ratesAnswer(options.rates, base)
    return answer === undefined ? reply.status(404).send() : reply.type('application/json').send(answer)
  })

  if (options.consent)
    await addConsentRoutes(app, {
      ...options.consent,
      log,
      holdsAccount: (walletAddress) => holdsAccount(admin, options.tenantId, walletAddress),
    })

  const port = await listenOn(app, options.port, 'localhost')
  return {
    port,
    events: inbox.events,
    account: accounts.get,
    holdDeposits() {
      const held = Promise.withResolvers<void>()
      deposits = held.promise
      return held.resolve
    },
    settled: inbox.settled,
    close: () => app.close(),
  }
}

interface AccountsPage {
  walletAddresses: {
    edges: { node: { address: string } }[]
    pageInfo: { hasNextPage: boolean; endCursor: string | null }
  }
}

const ACCOUNTS = `query Accounts($tenantId: String!, $after: String) {
  walletAddresses(tenantId: $tenantId, after: $after, first: 100) {
    edges { node { address } } pageInfo { hasNextPage endCursor } } }`

/** Among this tenant's accounts: an operator sees those of other tenants too, and they are none of its customers'. A wallet with a table of its customers looks there. */
async function holdsAccount(admin: AdminClient, tenantId: string, walletAddress: string): Promise<boolean> {
  for (let after: string | null = null; ; ) {
    const page: AccountsPage = await admin.graphql<AccountsPage>(ACCOUNTS, { tenantId, after })
    const { edges, pageInfo } = page.walletAddresses
    if (edges.some(({ node }) => node.address === walletAddress)) return true
    if (!pageInfo.hasNextPage) return false
    after = pageInfo.endCursor
  }
}

/** Remembers events by id. A wallet has a table for this; its unique key does what the map does here. */
function createInbox(onEvent: (event: WalletEvent) => void = () => undefined) {
  const seen = new Set<string>()
  const handling = new Map<string, Promise<void>>()
  const handled = new Set<string>()
  const events: WalletEvent[] = []

  const note = (event: WalletEvent) => {
    if (seen.has(event.id)) return
    seen.add(event.id)
    events.push(event)
    if (events.length > EVENTS_KEPT) {
      const oldest = events.shift()
      if (oldest && handled.delete(oldest.id)) seen.delete(oldest.id)
    }
    onEvent(event)
  }

  return {
    events,
    /** Handles an event unless that was done; joins when it is being done. A failure is not remembered. */
    async handleOnce(event: WalletEvent, handle: () => Promise<void>): Promise<void> {
      if (handled.has(event.id)) return
      note(event)
      const running =
        handling.get(event.id) ??
        handle()
          .then(() => void handled.add(event.id))
          .finally(() => handling.delete(event.id))
      handling.set(event.id, running)
      await running
    },
    async settled(): Promise<void> {
      while (handling.size > 0) await Promise.allSettled(handling.values())
    },
  }
}
