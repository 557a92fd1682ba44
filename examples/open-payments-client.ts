/**
 * A third party that is paid over Open Payments, with the official client: what a shop has to do to be paid from somebody else's account.
 * `npm start` prints a command line for it. It asks for an incoming payment and a quote, sends the payer to their bank to agree,
 * checks that it is them who come back, and pays.
 */
import { hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import {
  type AuthenticatedClient,
  createAuthenticatedClient,
  type GrantRequest,
  type IncomingPayment,
  isFinalizedGrantWithAccessToken,
  isPendingGrant,
  type Quote,
  type WalletAddress,
} from '@interledger/open-payments'
import { amountInWords, unitsOf } from './amount-words.ts'
import { createFormBrowser, reachable, titleOf } from './form-browser.ts'

const USAGE = `usage: node examples/open-payments-client.ts --client <wallet address> --key <PEM file> --key-id <id>
         --from <wallet address> [--to <wallet address>] --amount <such as 5.00> [--approve]

  --client, --key, --key-id  who asks: a wallet address, and the Ed25519 key that it publishes under this id
  --from                     whose money
  --to                       who is paid; without it the client
  --amount                   what shall arrive, in the receiver's currency
  --approve                  press Accept on the payer's consent page, for trying this out without a browser`

interface Options {
  client: string
  keyFile: string
  keyId: string
  from: string
  to: string
  amount: string
  approve: boolean
}

/** For a person to decide, and for a payment to arrive. */
const DECISION_MS_MAX = 10 * 60_000
const ARRIVAL_MS_MAX = 60_000
const POLL_MS = 300

type Amount = Quote['debitAmount']

function readOptions(): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      client: text,
      key: text,
      'key-id': text,
      from: text,
      to: text,
      amount: text,
      approve: { type: 'boolean', default: false },
    },
  })
  const { client, key, 'key-id': keyId, from, amount, approve } = values
  if (!client || !key || !keyId || !from || !amount) throw new Error(USAGE)
  return { client, keyFile: key, keyId, from, to: values.to ?? client, amount, approve }
}

const say = (text: string) => process.stdout.write(`${text}\n`)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A token for what needs nobody's consent. */
async function tokenFor(
  client: AuthenticatedClient,
  { authServer }: WalletAddress,
  access: NonNullable<GrantRequest['access_token']>,
): Promise<string> {
  const grant = await client.grant.request({ url: authServer }, { access_token: access })
  if (isPendingGrant(grant) || !isFinalizedGrantWithAccessToken(grant))
    throw new Error(`${authServer} asks for consent where none was expected`)
  return grant.access_token.value
}

interface Callback {
  /** Where the payer's browser shall come back to; nobody can guess it. */
  uri: string
  /** The query it brings. */
  arrived: Promise<URLSearchParams>
  close(): void
}

/** Listens for the payer's browser, for one visit. */
async function listenForReturn(): Promise<Callback> {
  const path = `/${randomBytes(16).toString('hex')}`
  const arrived = Promise.withResolvers<URLSearchParams>()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const isExpected = url.pathname === path
    response
      .writeHead(isExpected ? 200 : 404, { 'content-type': 'text/plain', connection: 'close' })
      .end(isExpected ? 'Thank you. You can close this page.\n' : 'Not Found\n')
    if (isExpected) arrived.resolve(url.searchParams)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const timer = setTimeout(() => arrived.reject(new Error('nobody decided in time')), DECISION_MS_MAX)
  return {
    uri: `http://127.0.0.1:${port}${path}`,
    arrived: arrived.promise,
    close() {
      clearTimeout(timer)
      server.close()
      server.closeIdleConnections()
    },
  }
}

/** What a person would do: look at the page, and press Accept. */
async function approve(redirect: string): Promise<void> {
  const browser = createFormBrowser()
  const page = await browser.visit(redirect)
  if (page.status !== 200) throw new Error(`the consent page says: ${titleOf(page)}`)
  const done = await browser.press(page, 'accept')
  if (done.status !== 200) throw new Error(`after consent: ${titleOf(done)}`)
}

/** The payer agrees to exactly this: the quoted amount at most, to this receiver only. */
async function askForConsent(
  client: AuthenticatedClient,
  payer: WalletAddress,
  payment: { debitAmount: Amount; receiver: string },
  options: Options,
): Promise<string> {
  const callback = await listenForReturn()
  try {
    const nonce = randomBytes(16).toString('hex')
    const grant = await client.grant.request(
      { url: payer.authServer },
      {
        access_token: {
          access: [
            { type: 'outgoing-payment', actions: ['create', 'read'], identifier: payer.id, limits: payment },
          ],
        },
        interact: { start: ['redirect'], finish: { method: 'redirect', uri: callback.uri, nonce } },
      },
    )
    if (!isPendingGrant(grant)) throw new Error('a payment that nobody has to agree to')
    const continueFrom = Date.now() + (grant.continue.wait ?? 0) * 1000
    say(
      `\nOpen this in a browser, and decide as ${payer.publicName ?? payer.id}:\n\n  ${reachable(grant.interact.redirect)}\n`,
    )
    if (options.approve) await approve(grant.interact.redirect)
    const reference = checkReturn(await callback.arrived, {
      nonce,
      finish: grant.interact.finish,
      authServer: payer.authServer,
    })
    // The authorization server says how long to wait before the first continuation.
    await pause(Math.max(0, continueFrom - Date.now()))
    const { access_token: accessToken, uri: url } = grant.continue
    const continued = await client.grant.continue(
      { url, accessToken: accessToken.value },
      { interact_ref: reference },
    )
    if (!isFinalizedGrantWithAccessToken(continued)) throw new Error('there is no access token after consent')
    return continued.access_token.value
  } finally {
    callback.close()
  }
}

/** The reference, if this is who we sent to the bank: only the authorization server can have made the hash (RFC 9635 §4.2.3). */
function checkReturn(
  query: URLSearchParams,
  sent: { nonce: string; finish: string; authServer: string },
): string {
  const reference = query.get('interact_ref')
  if (reference === null) throw new Error(`no consent: ${query.get('result') ?? 'no reason given'}`)
  const expected = hash('sha256', [sent.nonce, sent.finish, reference, sent.authServer].join('\n'), 'base64')
  if (query.get('hash') !== expected) throw new Error('the browser that came back was not sent by the bank')
  say('The payer agreed, and the hash is right.')
  return reference
}

/** Until all of it has arrived, or none of it will. */
async function awaitArrival(
  incoming: () => Promise<IncomingPayment>,
  hasFailed: () => Promise<boolean>,
): Promise<IncomingPayment> {
  const until = Date.now() + ARRIVAL_MS_MAX
  while (Date.now() < until) {
    const payment = await incoming()
    if (payment.completed) return payment
    if (await hasFailed()) throw new Error('the payment failed; nothing more will be sent')
    await pause(POLL_MS)
  }
  throw new Error(`not all of it arrived within ${ARRIVAL_MS_MAX / 1000} s`)
}

/** What the payer's bank has sent is known there a moment after it has arrived: the answer has to travel back. */
async function awaitSent(sentAmount: () => Promise<Amount>): Promise<Amount> {
  const until = Date.now() + ARRIVAL_MS_MAX
  for (;;) {
    const amount = await sentAmount()
    if (amount.value !== '0' || Date.now() >= until) return amount
    await pause(POLL_MS)
  }
}

async function run(options: Options): Promise<void> {
  const client = await createAuthenticatedClient({
    walletAddressUrl: options.client,
    privateKey: options.keyFile,
    keyId: options.keyId,
    useHttp: reachable(options.client) !== options.client,
    logLevel: 'silent',
  })
  const payer = await client.walletAddress.get({ url: options.from })
  const payee = await client.walletAddress.get({ url: options.to })
  const names = { payer: payer.publicName ?? payer.id, payee: payee.publicName ?? payee.id }
  say(
    `${names.payer} (${payer.assetCode}, ${payer.id}) shall pay ${names.payee} (${payee.assetCode}, ${payee.id}).`,
  )

  const { assetCode, assetScale } = payee
  const incomingAmount = { value: unitsOf(options.amount, payee).toString(), assetCode, assetScale }
  const forIncoming = await tokenFor(client, payee, {
    access: [{ type: 'incoming-payment', actions: ['create', 'read'] }],
  })
  const { id: receiver } = await client.incomingPayment.create(
    { url: payee.resourceServer, accessToken: forIncoming },
    { walletAddress: payee.id, incomingAmount },
  )
  say(`Incoming payment: ${receiver}`)

  const forQuote = await tokenFor(client, payer, { access: [{ type: 'quote', actions: ['create'] }] })
  const quote = await client.quote.create(
    { url: payer.resourceServer, accessToken: forQuote },
    { walletAddress: payer.id, receiver, method: 'ilp' },
  )
  const { debitAmount, receiveAmount } = quote
  say(`Quote: at most ${amountInWords(debitAmount)} for ${amountInWords(receiveAmount)} to arrive.`)

  const forOutgoing = await askForConsent(client, payer, { debitAmount, receiver }, options)
  const { id: url } = await client.outgoingPayment.create(
    { url: payer.resourceServer, accessToken: forOutgoing },
    { walletAddress: payer.id, quoteId: quote.id },
  )
  say(`Outgoing payment: ${url}`)

  const readOutgoing = () => client.outgoingPayment.get({ url, accessToken: forOutgoing })
  const arrived = await awaitArrival(
    async () =>
      (await client.incomingPayment.get({ url: receiver, accessToken: forIncoming })) as IncomingPayment,
    async () => (await readOutgoing()).failed ?? false,
  )
  const sentAmount = await awaitSent(async () => (await readOutgoing()).sentAmount)
  say(
    `\nPaid. ${names.payee} received ${amountInWords(arrived.receivedAmount)}; ${names.payer}'s bank sent ${amountInWords(sentAmount)}.`,
  )
}

try {
  await run(readOptions())
} catch (error) {
  const { message, description } = error as { message?: string; description?: string }
  process.stderr.write(`${[message, description].filter(Boolean).join(': ')}\n`)
  process.exitCode = 1
}
