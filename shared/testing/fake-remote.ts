import type { GrantsClient, RemoteRequest } from '../grants-client/index.ts'
import { RemoteRefusal } from '../grants-client/index.ts'
import type { Asset } from '../money/index.ts'
import { Fault, type HttpClient, type HttpResponse, uuidv7 } from '../platform/index.ts'

export interface RemotePayment extends Asset {
  url: string
  walletAddress: string
  incomingAmount?: bigint
  received: bigint
  completed: boolean
  createdAt: string
  expiresAt?: string
  metadata?: Record<string, unknown>
}

/** Another node's Open Payments server, and the grants client that reaches it. */
export interface FakeRemote {
  payments: Map<string, RemotePayment>
  /** Every answer; `undefined`: as the payments say. */
  answer: { status: number; body: string } | 'unreachable' | undefined
  isGrantRefused: boolean
  requests: RemoteRequest[]
  publicReads: number
  addPayment(fields?: Partial<RemotePayment>): RemotePayment
  grants: Pick<GrantsClient, 'getWalletAddress' | 'request'>
  http: Pick<HttpClient, 'request'>
}

export const REMOTE_URL = 'https://remote.example'
const json = (status: number, body: unknown): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from(JSON.stringify(body)),
})
const notFound = () => json(404, { error: { description: 'no such payment', code: '404' } })

const toWire = (payment: RemotePayment) => {
  const { assetCode, assetScale } = payment
  const amount = (value: bigint) => ({ value: value.toString(), assetCode, assetScale })
  return {
    id: payment.url,
    walletAddress: payment.walletAddress,
    receivedAmount: amount(payment.received),
    completed: payment.completed,
    createdAt: payment.createdAt,
    ...(payment.expiresAt && { expiresAt: payment.expiresAt }),
    ...(payment.metadata && { metadata: payment.metadata }),
    ...(payment.incomingAmount !== undefined && { incomingAmount: amount(payment.incomingAmount) }),
    methods: payment.completed
      ? []
      : [
          {
            type: 'ilp',
            ilpAddress: 'test.remote.abc',
            sharedSecret: Buffer.alloc(32, 7).toString('base64url'),
          },
        ],
  }
}

export function createFakeRemote(): FakeRemote {
  const outage = (): HttpResponse | undefined => {
    if (remote.answer === 'unreachable')
      throw new Fault('connection_failed', { retryable: true, message: 'remote.example: refused' })
    return (
      remote.answer && { status: remote.answer.status, headers: {}, body: Buffer.from(remote.answer.body) }
    )
  }

  const create = (input: RemoteRequest): HttpResponse => {
    const body = JSON.parse(input.body ?? '{}')
    if (!body.walletAddress.endsWith('/bob')) return notFound()
    const { walletAddress, incomingAmount, expiresAt, metadata } = body
    if (incomingAmount && incomingAmount.assetCode !== 'USD')
      return json(400, { error: { description: 'invalid amount', code: '400' } })
    const payment = remote.addPayment({
      walletAddress,
      ...(incomingAmount && { incomingAmount: BigInt(incomingAmount.value) }),
      ...(expiresAt && { expiresAt }),
      ...(metadata && { metadata }),
    })
    return json(201, toWire(payment))
  }

  const complete = (url: string): HttpResponse => {
    const payment = remote.payments.get(url.replace(/\/complete$/, ''))
    if (!payment) return notFound()
    if (payment.completed) return json(409, { error: { description: 'wrong state', code: '409' } })
    payment.completed = true
    return json(200, toWire(payment))
  }

  const remote: FakeRemote = {
    payments: new Map(),
    answer: undefined,
    isGrantRefused: false,
    requests: [],
    publicReads: 0,
    addPayment(fields = {}) {
      const payment: RemotePayment = {
        url: `${REMOTE_URL}/incoming-payments/${uuidv7()}`,
        walletAddress: `${REMOTE_URL}/bob`,
        assetCode: 'USD',
        assetScale: 2,
        received: 0n,
        completed: false,
        createdAt: '2031-05-04T03:00:00.000Z',
        ...fields,
      }
      remote.payments.set(payment.url, payment)
      return payment
    },
    grants: {
      async getWalletAddress(url) {
        outage()
        if (!url.startsWith(`${REMOTE_URL}/`))
          throw new RemoteRefusal('wallet_address_unknown', { message: 'the wallet address answers 404' })
        const server = { authServer: `${REMOTE_URL}/auth`, resourceServer: REMOTE_URL }
        return { id: url, assetCode: 'USD', assetScale: 2, ...server }
      },
      async request(input) {
        remote.requests.push(input)
        if (remote.isGrantRefused)
          throw new RemoteRefusal('grant_refused', { message: 'no grant for strangers' })
        const answered = outage()
        if (answered) return answered
        if (input.url.endsWith('/complete')) return complete(input.url)
        if (input.method === 'POST') return create(input)
        const payment = remote.payments.get(input.url)
        return payment ? json(200, toWire(payment)) : notFound()
      },
    },
    http: {
      async request({ url }) {
        remote.publicReads++
        const answered = outage()
        if (answered) return answered
        const payment = remote.payments.get(url)
        if (!payment) return json(401, { error: { description: 'Unauthorized', code: '401' } })
        return json(200, { receivedAmount: toWire(payment).receivedAmount, authServer: `${REMOTE_URL}/auth` })
      },
    },
  }
  return remote
}
