import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setFee } from '../assets/index.ts'
import { parseGrantLimits } from '../grant-limits/index.ts'
import { type Db, sql, uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import type { WalletAddress } from '../wallet-addresses/index.ts'
import { spentByFailed } from './grant-spending.ts'
import {
  auditGrants,
  cancelOutgoingPayment,
  cancelUnfundedPayments,
  createGrantedPayment,
  findGrantSpent,
  type Grant,
  getOutgoingPayment,
  type OutgoingPayment,
  OutgoingPaymentRefusal,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
  world.connector.prices['USD EUR'] = '0.5'
})
beforeEach(() => {
  delete world.connector.maxPacketAmount
  delete world.connector.packetsPerSlice
  world.connector.sendFailures = []
})
after(async () => {
  try {
    assert.deepEqual((await auditGrants(world.db)).findings, [])
  } finally {
    await world.close()
  }
})

const usd = (value: bigint | string) => ({ value: String(value), assetCode: 'USD', assetScale: 2 })
const newGrant = (limits?: Record<string, unknown>): Grant => ({
  id: uuidv7(),
  ...(limits && { limits: parseGrantLimits(limits) }),
})
const receiver = () => world.remote.addPayment().url

/** Pays a debit amount under the grant; a payment in FUNDING. */
async function pay(grant: Grant, debit: bigint, url = receiver(), payer: WalletAddress = world.alice) {
  const { id: quoteId } = await world.quote(payer, url, { debit })
  return await createGrantedPayment(world.ctx, {
    tenantId: payer.tenantId,
    walletAddressId: payer.id,
    quoteId,
    grant,
    initiatedBy: 'OPEN_PAYMENTS',
  })
}
const paid = async (grant: Grant, debit: bigint, url?: string) => (await pay(grant, debit, url)).payment
const outside = (call: Promise<unknown>, message = /./) =>
  assert.rejects(
    call,
    (error) =>
      error instanceof OutgoingPaymentRefusal &&
      error.code === 'outside_grant' &&
      message.test(error.message),
  )
const spent = async (grant: Grant, tenantId = world.tenantId) => {
  const found = await findGrantSpent(world.ctx, { tenantId, grant })
  return found && [found.debitAmount.value, found.receiveAmount.value]
}
const run = async (payment: OutgoingPayment) => {
  await world.fund(payment)
  await world.runJobs()
  return (await getOutgoingPayment(world.ctx, 'all', payment.id)).state
}
const cancel = (payment: OutgoingPayment) => cancelOutgoingPayment(world.ctx, 'all', { id: payment.id })

test('a fixed send of 50 that arrives as 49 counts 50 and 49, on its way and completed', async () => {
  const grant = newGrant({ debitAmount: usd(100n) })
  assert.equal(await spent(grant), undefined)
  const payment = await paid(grant, 50n)
  assert.deepEqual(await spent(grant), [50n, 49n])
  assert.equal(await run(payment), 'COMPLETED')
  assert.deepEqual(await spent(grant), [50n, 49n])
  const second = await pay(grant, 50n)
  assert.deepEqual([second.spent.debitAmount.value, second.spent.receiveAmount.value], [50n, 49n])
  await outside(pay(grant, 2n), /left of the grant/)
})

test('a payment alone may be as much as the limit and not more', async () => {
  await outside(pay(newGrant({ debitAmount: usd(49n) }), 50n), /more than the grant allows/)
  await outside(pay(newGrant({ receiveAmount: usd(48n) }), 50n), /more than the grant allows/)
  await pay(newGrant({ debitAmount: usd(50n) }), 50n)
  await pay(newGrant({ receiveAmount: usd(49n) }), 50n)
  await outside(pay(newGrant({ debitAmount: usd(0n) }), 50n))
})

test('a refused payment writes nothing: no row, no event, no count, and its quote can be used', async () => {
  const grant = newGrant({ debitAmount: usd(60n) })
  await pay(grant, 50n)
  const { id: quoteId } = await world.quote(world.alice, receiver(), { debit: 11n })
  const create = (under: Grant) =>
    createGrantedPayment(world.ctx, {
      tenantId: world.tenantId,
      walletAddressId: world.alice.id,
      quoteId,
      grant: under,
      initiatedBy: 'OPEN_PAYMENTS',
    })
  await outside(create(grant))
  assert.deepEqual(await spent(grant), [50n, 49n])
  const rows = await world.db.many(
    (row) => row.id,
    sql`select id from webhook_events where outgoing_payment_id = ${quoteId}`,
  )
  assert.deepEqual(rows, [])
  assert.equal((await create(newGrant())).payment.state, 'FUNDING')
})

test('a quote that was used before is not counted, whichever grant tries it', async () => {
  const { id: quoteId } = await world.quote(world.alice, receiver(), { debit: 20n })
  const grants = [newGrant(), newGrant(), newGrant({ debitAmount: usd(20n) })]
  const results = await Promise.allSettled(
    grants.map((grant) =>
      createGrantedPayment(world.ctx, {
        tenantId: world.tenantId,
        walletAddressId: world.alice.id,
        quoteId,
        grant,
        initiatedBy: 'OPEN_PAYMENTS',
      }),
    ),
  )
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  const counted = await Promise.all(grants.map((grant) => spent(grant)))
  assert.equal(counted.filter((amounts) => amounts !== undefined).length, 1)
})

test('what a cancelled payment would have spent comes back, once', async () => {
  const grant = newGrant({ debitAmount: usd(100n) })
  const [first, second] = [await paid(grant, 60n), await paid(grant, 40n)]
  await outside(pay(grant, 2n))
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => cancel(first)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.deepEqual(await spent(grant), [40n, 39n])
  await pay(grant, 60n)
  await cancel(second)
  assert.deepEqual(await spent(grant), [60n, 59n])
})

test('unfunded payments of many grants are cancelled at once, and each grant gets back its own', async () => {
  const grants = Array.from({ length: 4 }, () => newGrant({ debitAmount: usd(100n) }))
  for (const grant of [...grants, ...grants]) await pay(grant, 30n)
  const kept = await paid(grants[0]!, 40n)
  await world.fund(kept)
  world.clock.advance(60_000)
  const timeouts = () => cancelUnfundedPayments(world.ctx, { timeoutMs: 60_000, limit: 3 })
  await Promise.all([timeouts(), timeouts(), timeouts()])
  while ((await timeouts()).length > 0);
  assert.deepEqual(await Promise.all(grants.map((grant) => spent(grant))), [
    [40n, 39n],
    [0n, 0n],
    [0n, 0n],
    [0n, 0n],
  ])
})

test('a payment that failed before anything was sent gives everything back', async () => {
  const grant = newGrant({ receiveAmount: usd(49n) })
  const url = receiver()
  const payment = await paid(grant, 50n, url)
  world.remote.payments.delete(url)
  assert.equal(await run(payment), 'FAILED')
  assert.deepEqual(await spent(grant), [0n, 0n])
  await pay(grant, 50n)
})

const lost = { code: 'protocol_violation', message: 'the receiver broke the protocol', retryable: false }

test('a payment that failed on the way counts what was sent, and no less than what arrived', async () => {
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 2
  world.connector.sendFailures = [undefined, lost]
  const grant = newGrant({ debitAmount: usd(50n) })
  assert.equal(await run(await paid(grant, 50n)), 'FAILED')
  // Two packets of ten. The same part of 49, rounded down, would be 19; but 20 have arrived.
  assert.deepEqual(await spent(grant), [20n, 20n])
  await outside(pay(grant, 31n))
  await pay(grant, 30n)
})

test('the receive side of a failed payment is its part of what enters the network, rounded down', () => {
  const amount = (value: bigint) => ({ value, assetCode: 'USD', assetScale: 2 })
  const quote = { debitAmount: amount(110n), sourceAmount: 100n, receiveAmount: amount(67n) }
  assert.deepEqual(spentByFailed(quote, { sentAmount: 0n }), { debit: 0n, receive: 0n })
  assert.deepEqual(spentByFailed(quote, { sentAmount: 1n }), { debit: 1n, receive: 0n })
  assert.deepEqual(spentByFailed(quote, { sentAmount: 50n }), { debit: 50n, receive: 33n })
  assert.deepEqual(spentByFailed(quote, { sentAmount: 99n }), { debit: 99n, receive: 66n })
  assert.deepEqual(spentByFailed(quote, { sentAmount: 100n }), { debit: 100n, receive: 67n })
})

test('a fee counts as long as the payment may succeed', async () => {
  const other = await world.addTenant()
  await setFee(world.ctx, 'all', { assetId: other.asset.id, type: 'SENDING', fixed: 10n, basisPoints: 0 })
  world.connector.maxPacketAmount = 20n
  world.connector.packetsPerSlice = 1
  world.connector.sendFailures = [undefined, lost]
  const grant = newGrant({ debitAmount: usd(60n) })
  const { payment } = await pay(grant, 60n, receiver(), other.wallet)
  assert.deepEqual(await spent(grant, other.tenantId), [60n, 49n])
  assert.equal(await run(payment), 'FAILED')
  assert.deepEqual(await spent(grant, other.tenantId), [20n, 20n])
  assert.equal(await spent(grant), undefined, 'another tenant’s grant of the same id')
})

test('per interval: full at its end, empty at its start, and what fails later returns to where it was spent', async () => {
  world.clock.set(new Date('2031-03-31T23:59:59.999Z'))
  const grant = newGrant({ debitAmount: usd(50n), interval: 'R1/2031-03-01T00:00:00Z/P1M' })
  const march = await paid(grant, 50n)
  await outside(pay(grant, 2n))
  world.clock.set(new Date('2031-04-01T00:00:00.000Z'))
  assert.deepEqual(await spent(grant), [0n, 0n], 'zeros in the assets of the last payment')
  const april = await pay(grant, 40n)
  assert.deepEqual([april.spent.debitAmount.value, april.spent.receiveAmount.value], [0n, 0n])
  await cancel(march)
  assert.deepEqual(await spent(grant), [40n, 39n])
  await outside(pay(grant, 11n))
  world.clock.set(new Date('2031-04-30T23:59:59.999Z'))
  await pay(grant, 10n)
  world.clock.set(new Date('2031-05-01T00:00:00.000Z'))
  await outside(pay(grant, 2n), /at this time/)
  assert.equal(await spent(grant), undefined)
  // A clock that is set back finds what it left.
  world.clock.set(new Date('2031-03-15T00:00:00.000Z'))
  assert.deepEqual(await spent(grant), [0n, 0n])
  await pay(grant, 50n)
  await outside(pay(grant, 2n))
})

test('nothing is paid before the first interval, and nothing is quoted either', async () => {
  world.clock.set(new Date('2031-06-01T00:00:00.000Z'))
  const incomingPayment = receiver()
  const create = (limits: Record<string, unknown>, debitAmount = { ...usd(50n), value: 50n }) =>
    createGrantedPayment(world.ctx, {
      tenantId: world.tenantId,
      walletAddressId: world.alice.id,
      incomingPayment,
      debitAmount,
      grant: newGrant(limits),
      initiatedBy: 'OPEN_PAYMENTS',
    })
  const { probes } = world.connector
  await outside(create({ interval: 'R/2031-06-01T00:00:00.001Z/P1D' }), /at this time/)
  await outside(create({ receiver: receiver() }), /another receiver/)
  await outside(create({ debitAmount: usd(49n) }), /more than/)
  await outside(create({ debitAmount: { ...usd(1000n), assetScale: 3 } }), /another asset/)
  assert.equal(world.connector.probes, probes)
  const { payment } = await create({
    interval: 'R0/2031-06-01T00:00:00Z/PT0.001S',
    receiver: incomingPayment,
    debitAmount: usd(50n),
  })
  assert.equal(payment.debitAmount.value, 50n)
})

test('receivers in several assets: a debit limit counts them together, and each asset for itself', async () => {
  const grant = newGrant({ debitAmount: usd(100n) })
  await pay(grant, 50n)
  const { url } = await world.incoming(world.bob)
  const inEuro = await pay(grant, 40n, url)
  assert.deepEqual([inEuro.spent.debitAmount.value, inEuro.spent.receiveAmount.value], [50n, 0n])
  const shown = await findGrantSpent(world.ctx, { tenantId: world.tenantId, grant })
  assert.deepEqual(shown, {
    debitAmount: { value: 90n, assetCode: 'USD', assetScale: 2 },
    receiveAmount: { ...inEuro.payment.receiveAmount },
  })
  assert.equal(shown?.receiveAmount.assetCode, 'EUR')
  const again = await pay(grant, 10n)
  assert.deepEqual([again.spent.debitAmount.value, again.spent.receiveAmount.value], [90n, 49n])
})

test('what returns, returns to the asset, the grant and the tenant that spent it', async () => {
  const grant = newGrant()
  const inDollars = await paid(grant, 50n)
  const { url } = await world.incoming(world.bob)
  const inEuro = await paid(grant, 40n, url)
  const other = await world.addTenant()
  await pay(grant, 30n, receiver(), other.wallet)
  await cancel(inEuro)
  assert.deepEqual(await spent(grant, other.tenantId), [30n, 29n])
  assert.deepEqual(await spent(grant), [50n, 0n])
  const { spent: before, payment } = await pay(grant, 20n)
  assert.deepEqual([before.debitAmount.value, before.receiveAmount.value], [50n, 49n])
  await cancel(inDollars)
  await cancel(payment)
  assert.deepEqual(await spent(grant), [0n, 0n])
})

test('an interval without payments shows the assets of the latest that had some', async () => {
  world.clock.set(new Date('2031-07-01T00:00:00.000Z'))
  const grant = newGrant({ debitAmount: usd(100n), interval: 'R/2031-07-01/P1D' })
  const { url } = await world.incoming(world.bob)
  await pay(grant, 40n, url)
  world.clock.advance(86_400_000)
  await pay(grant, 40n)
  world.clock.advance(86_400_000)
  const zero = { value: 0n, assetCode: 'USD', assetScale: 2 }
  assert.deepEqual(await findGrantSpent(world.ctx, { tenantId: world.tenantId, grant }), {
    debitAmount: zero,
    receiveAmount: zero,
  })
})

test('what was spent beside a limit counts against it', async () => {
  const free = newGrant()
  await pay(free, 60n)
  const limited = { ...newGrant({ debitAmount: usd(100n) }), id: free.id }
  await outside(pay(limited, 41n), /left of the grant/)
  await pay(limited, 40n)
  await pay(free, 5n)
  await outside(pay(limited, 2n), /left of the grant/)
})

test('a grant without limits is counted, beyond the size of one amount', async () => {
  const grant = newGrant()
  await pay(grant, 50n)
  await world.db.execute(sql`
    update grant_spending set amount = 18446744073709551615 where grant_id = ${grant.id}`)
  assert.equal((await pay(grant, 50n)).spent.debitAmount.value, 18446744073709551615n)
  assert.deepEqual(await spent(grant), [18446744073709551665n, 18446744073709551664n])
  const { findings } = await auditGrants(world.db)
  assert.deepEqual(
    findings.map(({ grantId }) => grantId),
    [grant.id, grant.id],
  )
  assert.match(
    findings[0]?.message ?? '',
    /DEBIT USD \(scale 2\) counts 18446744073709551665, its payments 100$/,
  )
  await world.db.execute(sql`
    update grant_spending set amount = case side when 'DEBIT' then 100 else 98 end where grant_id = ${grant.id}`)
})

test('the audit finds a payment that counts too little', async () => {
  const { id } = await paid(newGrant(), 50n)
  const count = (value: bigint) =>
    world.db.execute(sql`update outgoing_payments set spent_debit_amount = ${value} where id = ${id}`)
  await count(49n)
  const { findings } = await auditGrants(world.db)
  assert.deepEqual(
    findings.map(({ message }) => message),
    [`payment ${id} (FUNDING) counts 49 and 49, not 50 and 49`],
  )
  await count(50n)
})

test('the database itself refuses a counter beyond its limit or below zero', async () => {
  const grant = newGrant({ debitAmount: usd(50n) })
  await pay(grant, 50n)
  const set = (amount: bigint) =>
    world.db.execute(sql`
      update grant_spending set amount = ${amount} where grant_id = ${grant.id} and side = 'DEBIT'`)
  await assert.rejects(set(51n), /grant_spending_within_limit/)
  await assert.rejects(set(-1n), /grant_spending_not_negative/)
})

test('creation under a grant is one statement', async () => {
  const { id: quoteId } = await world.quote(world.alice, receiver(), { debit: 5n })
  let statements = 0
  const counting = new Proxy(world.db, {
    get: (db, name: keyof Db) => {
      if (name === 'tx') return db.tx
      return (...input: never[]) => {
        statements++
        return (db[name] as (...input: never[]) => unknown)(...input)
      }
    },
  })
  await createGrantedPayment(
    { ...world.ctx, db: counting },
    {
      tenantId: world.tenantId,
      walletAddressId: world.alice.id,
      quoteId,
      grant: newGrant({ debitAmount: usd(5n) }),
      initiatedBy: 'OPEN_PAYMENTS',
    },
  )
  assert.equal(statements, 2, 'one reads the quote, one writes')
})
