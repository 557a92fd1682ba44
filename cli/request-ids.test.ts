import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTrustedHttp, signHmac } from '../shared/platform/index.ts'
import { waitFor } from '../shared/testing/index.ts'
import { type ChildBank, startChildBank } from './child-bank.ts'
import { prepare } from './testing/many-payments.ts'
import { startTestBanks, stopDeployable, type TestBanks } from './testing/test-banks.ts'

interface Line {
  name: string
  requestId?: string
  queue?: string
  rpc?: string
  outgoingPaymentId?: string
}

const parts = ['admin', 'payments', 'connector', 'webhooks'] as const
const REQUEST_ID = 'deposit-of-the-test'

let banks: TestBanks
let child: ChildBank
const lines: Line[] = []
before(async () => {
  banks = await startTestBanks()
  for (const name of [...parts].reverse()) await stopDeployable(banks.a, name)
  let rest = ''
  child = await startChildBank({
    settings: banks.a.settings,
    environment: { ...banks.a.environment, LOG_LEVEL: 'debug' },
    only: parts,
    onLog(text) {
      const complete = `${rest}${text}`.split('\n')
      rest = complete.pop() ?? ''
      lines.push(...complete.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Line))
    },
  })
})
after(async () => {
  await child.close()
  await banks.close()
})

test('a request’s id is in the lines of the Admin API, of the worker that its job wakes, of the connector that sends, and of the webhook at the end', async () => {
  const resume = banks.a.wallet.holdDeposits()
  const [payment] = await prepare(banks, ['b', 'bob'], 1, 30_000)
  assert.ok(payment)
  const http = createTrustedHttp()
  const { settings } = banks.a
  const body = {
    query: `mutation ($input: DepositOutgoingPaymentLiquidityInput!) {
      depositOutgoingPaymentLiquidity(input: $input) { success } }`,
    variables: { input: { outgoingPaymentId: payment.id, idempotencyKey: 'request-ids' } },
  }
  const response = await http.request({
    method: 'POST',
    url: `http://localhost:${settings.ports.admin}/graphql`,
    headers: {
      'content-type': 'application/json',
      'tenant-id': settings.operatorTenantId,
      'x-request-id': REQUEST_ID,
      signature: signHmac({ secret: settings.adminApiSecret, version: 1, timestampMs: Date.now(), body }),
    },
    body: JSON.stringify(body),
    timeoutMs: 10_000,
  })
  await http.close()
  assert.match(response.body.toString(), /"success":true/)
  assert.equal(response.headers['x-request-id'], REQUEST_ID)
  const ofRequest = (matches: (line: Line) => boolean) =>
    lines.some((line) => line.requestId === REQUEST_ID && matches(line))
  const seen = {
    admin: (line: Line) => line.name === 'admin',
    worker: (line: Line) => line.queue === 'outgoing-payments' && line.outgoingPaymentId === payment.id,
    connector: (line: Line) => line.rpc === 'send' && line.outgoingPaymentId === payment.id,
    webhook: (line: Line) => line.queue === 'webhooks' && line.outgoingPaymentId === payment.id,
  }
  await waitFor(async () => Object.values(seen).every(ofRequest), 15_000).catch(() => undefined)
  assert.deepEqual(
    Object.keys(seen).filter((name) => !ofRequest(seen[name as keyof typeof seen])),
    [],
  )
  resume()
  await banks.a.wallet.settled()
  await banks.audit()
})
