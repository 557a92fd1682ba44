// A payment through a node, by the Admin API alone: receiver, quote, outgoing payment, deposit, until it is COMPLETED. `helm test`
// runs it in the cluster; it imports nothing of the project, so that it runs wherever Node 24 does. What the test makes for itself
// it withdraws again; payers and payees that were named are their wallets' business.
import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

interface WalletAddress {
  id: string
  address: string
  asset: Asset
}

interface Asset {
  id: string
  code: string
  scale: number
}

interface OutgoingPayment {
  id: string
  state: string
  error: string | null
  liquidity: string | null
  sentAmount: { value: string; assetCode: string }
}

const required = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing`)
  return value
}

const url = required('GRAPHQL_URL')
const secret = required('ADMIN_API_SECRET')
const tenantId = required('TENANT_ID')
const version = process.env.SIGNATURE_VERSION || '1'
const value = process.env.AMOUNT || '100'
const deadlineMs = Date.now() + 1000 * Number(process.env.TIMEOUT_SECONDS || 120)
/** ISO 4217 reserves it for tests. */
const TEST_ASSET = { code: 'XTS', scale: 2 }
const REQUEST_MS = 30_000
const POLL_MS = 250
const AGAIN_MS = 1_000
/** Nothing has been asked: a release that starts answers nowhere yet, and a network's policies learn of a pod a moment after it runs. */
const NOT_REACHED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
])

let lastMs = 0

/** Keys in order, nothing else: what RFC 8785 makes of bodies that hold strings, whole numbers and objects of them. */
function canonical(body: unknown): string {
  if (typeof body !== 'object' || body === null) return JSON.stringify(body)
  const entries = Object.entries(body)
    .filter(([, item]) => item !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`
}

async function ask(body: string): Promise<Response> {
  // Two equal requests in one millisecond would have one signature, and the second would be a replay.
  lastMs = Math.max(Date.now(), lastMs + 1)
  const digest = createHmac('sha256', secret).update(`${lastMs}.${body}`).digest('hex')
  try {
    return await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'tenant-id': tenantId,
        signature: `t=${lastMs}, v${version}=${digest}`,
      },
      body,
      signal: AbortSignal.timeout(REQUEST_MS),
    })
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    if (!NOT_REACHED.has(cause?.code ?? '') || Date.now() > deadlineMs) throw error
    await sleep(AGAIN_MS)
    return await ask(body)
  }
}

async function admin<T>(query: string, variables: Record<string, unknown>): Promise<T> {
  const response = await ask(canonical({ query, variables }))
  const text = await response.text()
  let answer: { data?: T; errors?: { message: string; extensions?: { code?: string } }[] }
  try {
    answer = JSON.parse(text)
  } catch {
    throw new Error(`the Admin API answered ${response.status}: ${text.slice(0, 200)}`)
  }
  const [problem] = answer.errors ?? []
  if (problem) throw new Error(`${problem.message} (${problem.extensions?.code ?? 'no code'})`)
  if (!answer.data) throw new Error(`the Admin API answered ${response.status} without data`)
  return answer.data
}

const findWalletAddress = async (address: string): Promise<WalletAddress | undefined> => {
  const answer = await admin<{ walletAddressByUrl: WalletAddress | null }>(
    'query Find($url: String!) { walletAddressByUrl(url: $url) { id address asset { id code scale } } }',
    { url: address },
  )
  return answer.walletAddressByUrl ?? undefined
}

async function testAsset(): Promise<Asset> {
  const found = await admin<{ assetByCodeAndScale: Asset | null }>(
    'query Find($code: String!, $scale: UInt8!) { assetByCodeAndScale(code: $code, scale: $scale) { id code scale } }',
    TEST_ASSET,
  )
  if (found.assetByCodeAndScale) return found.assetByCodeAndScale
  const made = await admin<{ createAsset: { asset: Asset } }>(
    'mutation Make($input: CreateAssetInput!) { createAsset(input: $input) { asset { id code scale } } }',
    { input: TEST_ASSET },
  )
  return made.createAsset.asset
}

async function testWalletAddress(name: string): Promise<WalletAddress> {
  const address = `${required('OPEN_PAYMENTS_URL').replace(/\/+$/, '')}/helm-test/${name}`
  const found = await findWalletAddress(address)
  if (found) return found
  const asset = await testAsset()
  const made = await admin<{ createWalletAddress: { walletAddress: { id: string } } }>(
    'mutation Make($input: CreateWalletAddressInput!) { createWalletAddress(input: $input) { walletAddress { id } } }',
    { input: { address, assetId: asset.id, publicName: `helm test, ${name}` } },
  )
  return { id: made.createWalletAddress.walletAddress.id, address, asset }
}

const getOutgoingPayment = async (id: string): Promise<OutgoingPayment> => {
  const answer = await admin<{ outgoingPayment: OutgoingPayment }>(
    'query Payment($id: String!) { outgoingPayment(id: $id) { id state error liquidity sentAmount { value assetCode } } }',
    { id },
  )
  return answer.outgoingPayment
}

/** A wallet that funds every payment which it hears of may have been faster. */
async function deposit(outgoingPaymentId: string): Promise<void> {
  try {
    await admin(
      'mutation Deposit($input: DepositOutgoingPaymentLiquidityInput!) { depositOutgoingPaymentLiquidity(input: $input) { success } }',
      { input: { outgoingPaymentId, idempotencyKey: randomUUID() } },
    )
  } catch (error) {
    if ((await getOutgoingPayment(outgoingPaymentId)).state === 'FUNDING') throw error
  }
}

async function untilCompleted(id: string): Promise<OutgoingPayment> {
  for (;;) {
    const payment = await getOutgoingPayment(id)
    if (payment.state === 'COMPLETED') return payment
    if (payment.state === 'FAILED' || payment.state === 'CANCELLED' || Date.now() > deadlineMs)
      throw new Error(`the payment ${id} is ${payment.state}${payment.error ? `: ${payment.error}` : ''}`)
    await sleep(POLL_MS)
  }
}

const withdraw = (kind: 'OutgoingPayment' | 'IncomingPayment', id: string) =>
  admin(
    `mutation Withdraw($input: Create${kind}WithdrawalInput!) { create${kind}Withdrawal(input: $input) { success } }`,
    {
      input: {
        [kind === 'OutgoingPayment' ? 'outgoingPaymentId' : 'incomingPaymentId']: id,
        idempotencyKey: randomUUID(),
        timeoutSeconds: '0',
      },
    },
  )

/** What arrived at a receiver of this node. */
async function received(id: string): Promise<{ state: string; value: string }> {
  const { incomingPayment } = await admin<{
    incomingPayment: { state: string; receivedAmount: { value: string } }
  }>('query Received($id: String!) { incomingPayment(id: $id) { state receivedAmount { value } } }', { id })
  return { state: incomingPayment.state, value: incomingPayment.receivedAmount.value }
}

const log = (step: string, detail: string) => console.log(`${step.padEnd(18)} ${detail}`)

const payer = process.env.PAYER
  ? await findWalletAddress(process.env.PAYER)
  : await testWalletAddress('payer')
if (!payer) throw new Error(`${process.env.PAYER} is no wallet address of this node`)
log('payer', `${payer.address} (${payer.asset.code})`)
const payeeUrl = process.env.PAYEE || (await testWalletAddress('payee')).address
/** Undefined at another node: its wallet takes what arrives. */
const payee = await findWalletAddress(payeeUrl)
log('payee', payeeUrl)

const amountIn = (asset: Asset) => ({ value, assetCode: asset.code, assetScale: asset.scale })
const { createReceiver } = await admin<{ createReceiver: { receiver: { id: string } } }>(
  'mutation Receiver($input: CreateReceiverInput!) { createReceiver(input: $input) { receiver { id } } }',
  {
    input: {
      walletAddressUrl: payeeUrl,
      expiresAt: new Date(deadlineMs + 60_000).toISOString(),
      incomingAmount: payee && amountIn(payee.asset),
      metadata: { description: 'helm test' },
    },
  },
)
log('receiver', createReceiver.receiver.id)
const { createQuote } = await admin<{ createQuote: { quote: { id: string } } }>(
  'mutation Quote($input: CreateQuoteInput!) { createQuote(input: $input) { quote { id } } }',
  {
    input: {
      walletAddressId: payer.id,
      receiver: createReceiver.receiver.id,
      debitAmount: payee ? undefined : amountIn(payer.asset),
    },
  },
)
const { createOutgoingPayment } = await admin<{ createOutgoingPayment: { payment: { id: string } } }>(
  'mutation Pay($input: CreateOutgoingPaymentInput!) { createOutgoingPayment(input: $input) { payment { id } } }',
  { input: { walletAddressId: payer.id, quoteId: createQuote.quote.id } },
)
const id = createOutgoingPayment.payment.id
log('outgoing payment', id)
await deposit(id)
const payment = await untilCompleted(id)
log(payment.state, `sent ${payment.sentAmount.value} ${payment.sentAmount.assetCode}`)

if (payee) {
  const incomingId = createReceiver.receiver.id.split('/').at(-1) ?? ''
  const arrived = await received(incomingId)
  if (arrived.value !== value) throw new Error(`${arrived.value} arrived of ${value}`)
  log('received', `${arrived.value} ${payee.asset.code}, ${arrived.state}`)
  if (!process.env.PAYEE) await withdraw('IncomingPayment', incomingId)
}
if (!process.env.PAYER && BigInt(payment.liquidity ?? 0) > 0n) await withdraw('OutgoingPayment', id)
