import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { rawSql, uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { newSecret, type Party, rootFields, startTestAdmin, type TestAdmin } from './harness.ts'

/** What the victim has, and the other one names. */
interface Belongings {
  asset: string
  peer: string
  walletAddress: string
  payeeWalletAddress: string
  address: string
  key: string
  incomingPayment: string
  incomingPaymentUrl: string
  funding: string
  sending: string
  quote: string
  event: string
  withdrawal: string
  apiKey: string
}

describe('tenants on one node', () => {
  let admin: TestAdmin
  let victim: Party
  let intruder: Party
  let theirs: Belongings
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'))
    victim = await admin.newTenant('victim')
    intruder = await admin.newTenant('intruder')
    theirs = await settle(victim)
  })
  after(() => admin.close())

  const succeed: TestAdmin['succeed'] = (...call) => admin.succeed(...call)

  const settle = async (party: Party): Promise<Belongings> => {
    const key = () => ({ idempotencyKey: uuidv7() })
    const make = async (name: string, input: Record<string, unknown>, part: string) =>
      (await succeed(party, name, { input: { ...input, ...key() } }))[part] as { id: string; url: string }
    const asset = (await make('createAsset', { code: 'EUR', scale: 2 }, 'asset')).id
    await succeed(party, 'setFee', {
      input: { assetId: asset, type: 'SENDING', fee: { fixed: '1', basisPoints: 10 }, ...key() },
    })
    await succeed(party, 'depositAssetLiquidity', {
      input: { assetId: asset, id: uuidv7(), amount: '100000', ...key() },
    })
    const peerInput = {
      assetId: asset,
      staticIlpAddress: 'test.elsewhere',
      http: {
        outgoing: { endpoint: 'https://elsewhere.example', authToken: newSecret() },
        incoming: { authTokens: [newSecret()] },
      },
    }
    const peer = (await make('createPeer', peerInput, 'peer')).id
    await succeed(party, 'depositPeerLiquidity', {
      input: { peerId: peer, id: uuidv7(), amount: '100000', ...key() },
    })
    const address = `${party.prefix}/alice`
    const walletAddress = (await make('createWalletAddress', { assetId: asset, address }, 'walletAddress')).id
    const payeeWalletAddress = (
      await make('createWalletAddress', { assetId: asset, address: `${party.prefix}/bob` }, 'walletAddress')
    ).id
    const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
    const jwk = { kid: 'alice-key', x, alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519' }
    const walletAddressKey = (
      await make('createWalletAddressKey', { walletAddressId: walletAddress, jwk }, 'walletAddressKey')
    ).id
    const amount = { value: '500', assetCode: 'EUR', assetScale: 2 }
    const incoming = await make(
      'createIncomingPayment',
      { walletAddressId: payeeWalletAddress, incomingAmount: amount },
      'payment',
    )
    const newQuote = async () =>
      (await make('createQuote', { walletAddressId: walletAddress, receiver: incoming.url }, 'quote')).id
    const newPayment = async () =>
      (
        await make(
          'createOutgoingPayment',
          { walletAddressId: walletAddress, quoteId: await newQuote() },
          'payment',
        )
      ).id
    const [funding, sending, quote] = [await newPayment(), await newPayment(), await newQuote()]
    await succeed(party, 'depositOutgoingPaymentLiquidity', {
      input: { outgoingPaymentId: sending, ...key() },
    })
    const withdrawal = uuidv7()
    await succeed(party, 'createAssetLiquidityWithdrawal', {
      input: { assetId: asset, id: withdrawal, amount: '5', timeoutSeconds: '3600', ...key() },
    })
    const { apiKey: createdKey } = await succeed(party, 'createTenantApiKey', { input: {} })
    const apiKey = (createdKey as { id: string }).id
    const { edges } = (await succeed(party, 'webhookEvents', {
      filter: { type: { in: ['outgoing_payment.created'] } },
    })) as unknown as { edges: { node: { id: string; data: { id: string } } }[] }
    const event = edges.find((edge) => edge.node.data.id === funding)?.node.id
    assert.ok(event)
    return {
      asset,
      peer,
      walletAddress,
      payeeWalletAddress,
      address,
      key: walletAddressKey,
      incomingPayment: incoming.id,
      incomingPaymentUrl: incoming.url,
      funding,
      sending,
      quote,
      event,
      withdrawal,
      apiKey,
    }
  }

  /** Every row of every table but those that note that a request was made. */
  const books = async (): Promise<string> => {
    const tables = await admin.node.db.many((row) => row.name as string, rawTables)
    const sums = await Promise.all(
      tables.map(async (table) => {
        const row = await admin.node.db.one(
          (found) => found.sum as string,
          rawSql(
            `select coalesce(md5(string_agg(r::text, '|' order by r::text)), '') as sum from ${table} r`,
          ),
        )
        return `${table} ${row}`
      }),
    )
    return sums.join('\n')
  }
  const rawTables = rawSql(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname in ('public', 'ledger') and tablename not in ('idempotency_keys', 'used_signatures') order by 1`,
  )

  const amount = { value: '1', assetCode: 'EUR', assetScale: 2 }
  const input = (fields: Record<string, unknown>) => ({ input: { idempotencyKey: uuidv7(), ...fields } })
  const movement = { id: uuidv7(), amount: '1' }
  /** Per root field: what the intruder asks about the victim's things, and the code of the refusal; or that it sees nothing. */
  const attempts: Record<string, () => { args: Record<string, unknown>; code: string | 'nothing' }> = {
    accountingTransfers: () => ({ args: { id: theirs.asset }, code: 'nothing' }),
    asset: () => ({ args: { id: theirs.asset }, code: 'NOT_FOUND' }),
    assetByCodeAndScale: () => ({ args: { code: 'EUR', scale: 2 }, code: 'nothing' }),
    assets: () => ({ args: { tenantId: victim.tenantId }, code: 'nothing' }),
    incomingPayment: () => ({ args: { id: theirs.incomingPayment }, code: 'NOT_FOUND' }),
    incomingPayments: () => ({ args: { tenantId: victim.tenantId }, code: 'nothing' }),
    outgoingPayment: () => ({ args: { id: theirs.sending }, code: 'NOT_FOUND' }),
    outgoingPayments: () => ({
      args: {
        tenantId: victim.tenantId,
        filter: {
          walletAddressId: { in: [theirs.walletAddress] },
          receiver: { in: [theirs.incomingPaymentUrl] },
        },
      },
      code: 'nothing',
    }),
    payments: () => ({
      args: { tenantId: victim.tenantId, filter: { walletAddressId: { in: [theirs.walletAddress] } } },
      code: 'nothing',
    }),
    peer: () => ({ args: { id: theirs.peer }, code: 'NOT_FOUND' }),
    peerByAddressAndAsset: () => ({
      args: { assetId: theirs.asset, staticIlpAddress: 'test.elsewhere' },
      code: 'nothing',
    }),
    peers: () => ({ args: { tenantId: victim.tenantId }, code: 'nothing' }),
    quote: () => ({ args: { id: theirs.quote }, code: 'NOT_FOUND' }),
    tenant: () => ({ args: { id: victim.tenantId }, code: 'NOT_FOUND' }),
    tenants: () => ({ args: {}, code: 'FORBIDDEN' }),
    walletAddress: () => ({ args: { id: theirs.walletAddress }, code: 'NOT_FOUND' }),
    walletAddressByUrl: () => ({ args: { url: theirs.address }, code: 'nothing' }),
    walletAddresses: () => ({ args: { tenantId: victim.tenantId }, code: 'nothing' }),
    webhookEvents: () => ({ args: { tenantId: victim.tenantId }, code: 'nothing' }),

    approveIncomingPayment: () => ({
      args: input({ id: theirs.incomingPayment, idempotencyKey: undefined }),
      code: 'NOT_FOUND',
    }),
    cancelIncomingPayment: () => ({
      args: input({ id: theirs.incomingPayment, idempotencyKey: undefined }),
      code: 'NOT_FOUND',
    }),
    cancelOutgoingPayment: () => ({
      args: input({ id: theirs.funding, idempotencyKey: undefined }),
      code: 'NOT_FOUND',
    }),
    completeReceiver: () => ({
      args: input({ incomingPaymentUrl: theirs.incomingPaymentUrl, idempotencyKey: undefined }),
      code: 'NOT_FOUND',
    }),
    createAsset: () => ({
      args: input({ code: 'XYZ', scale: 2, tenantId: victim.tenantId }),
      code: 'BAD_USER_INPUT',
    }),
    createAssetLiquidityWithdrawal: () => ({
      args: input({ assetId: theirs.asset, timeoutSeconds: '0', ...movement }),
      code: 'NOT_FOUND',
    }),
    createIncomingPayment: () => ({
      args: input({ walletAddressId: theirs.walletAddress }),
      code: 'NOT_FOUND',
    }),
    createIncomingPaymentWithdrawal: () => ({
      args: input({ incomingPaymentId: theirs.incomingPayment, timeoutSeconds: '0' }),
      code: 'NOT_FOUND',
    }),
    createOutgoingPayment: () => ({
      args: input({ walletAddressId: theirs.walletAddress, quoteId: theirs.quote }),
      code: 'NOT_FOUND',
    }),
    createOutgoingPaymentFromIncomingPayment: () => ({
      args: input({
        walletAddressId: theirs.walletAddress,
        incomingPayment: theirs.incomingPaymentUrl,
        debitAmount: amount,
      }),
      code: 'NOT_FOUND',
    }),
    createOutgoingPaymentWithdrawal: () => ({
      args: input({ outgoingPaymentId: theirs.sending, timeoutSeconds: '0' }),
      code: 'NOT_FOUND',
    }),
    createPeer: () => ({
      args: input({
        assetId: theirs.asset,
        staticIlpAddress: 'test.intruder',
        http: { outgoing: { endpoint: 'https://intruder.example', authToken: 'token' } },
      }),
      code: 'NOT_FOUND',
    }),
    createOrUpdatePeerByUrl: () => ({
      args: input({ assetId: theirs.asset, peerUrl: 'https://intruder.example' }),
      code: 'NOT_FOUND',
    }),
    createPeerLiquidityWithdrawal: () => ({
      args: input({ peerId: theirs.peer, timeoutSeconds: '0', ...movement }),
      code: 'NOT_FOUND',
    }),
    createQuote: () => ({
      args: input({ walletAddressId: theirs.walletAddress, receiver: theirs.incomingPaymentUrl }),
      code: 'NOT_FOUND',
    }),
    createReceiver: () => ({
      args: input({ walletAddressUrl: theirs.address, incomingAmount: amount }),
      code: 'NOT_FOUND',
    }),
    createTenant: () => ({ args: { input: { id: victim.tenantId, apiSecret: 'x' } }, code: 'FORBIDDEN' }),
    createTenantApiKey: () => ({ args: { input: { tenantId: victim.tenantId } }, code: 'BAD_USER_INPUT' }),
    // It has no tenant to name: what it writes is the caller's own, and must not be the other's prefix.
    createTenantSettings: () => ({
      args: { input: { settings: [{ key: 'WALLET_ADDRESS_URL', value: victim.prefix }] } },
      code: 'BAD_USER_INPUT',
    }),
    createWalletAddressWithdrawal: () => ({
      args: input({ walletAddressId: theirs.walletAddress, id: movement.id, timeoutSeconds: '0' }),
      code: 'NOT_FOUND',
    }),
    createWalletAddress: () => ({
      args: input({ assetId: theirs.asset, address: `${intruder.prefix}/eve` }),
      code: 'NOT_FOUND',
    }),
    createWalletAddressKey: () => ({
      args: input({
        walletAddressId: theirs.walletAddress,
        jwk: {
          kid: 'eve',
          x: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x,
          alg: 'EdDSA',
          kty: 'OKP',
          crv: 'Ed25519',
        },
      }),
      code: 'NOT_FOUND',
    }),
    deleteAsset: () => ({ args: input({ id: theirs.asset }), code: 'NOT_FOUND' }),
    deletePeer: () => ({ args: input({ id: theirs.peer }), code: 'NOT_FOUND' }),
    deleteTenant: () => ({ args: { id: victim.tenantId }, code: 'FORBIDDEN' }),
    depositAssetLiquidity: () => ({ args: input({ assetId: theirs.asset, ...movement }), code: 'NOT_FOUND' }),
    // The contract answers events that one does not have with this code.
    depositEventLiquidity: () => ({ args: input({ eventId: theirs.event }), code: 'BAD_USER_INPUT' }),
    depositOutgoingPaymentLiquidity: () => ({
      args: input({ outgoingPaymentId: theirs.funding }),
      code: 'NOT_FOUND',
    }),
    depositPeerLiquidity: () => ({ args: input({ peerId: theirs.peer, ...movement }), code: 'NOT_FOUND' }),
    postLiquidityWithdrawal: () => ({ args: input({ withdrawalId: theirs.withdrawal }), code: 'NOT_FOUND' }),
    revokeTenantApiKey: () => ({ args: { input: { id: theirs.apiKey } }, code: 'NOT_FOUND' }),
    resendDeadWebhookEvents: () => ({ args: input({ tenantId: victim.tenantId }), code: 'nothing' }),
    resendWebhookEvent: () => ({ args: input({ id: theirs.event }), code: 'NOT_FOUND' }),
    resendWebhookEvents: () => ({
      args: input({
        from: '2020-01-01T00:00:00Z',
        to: '2120-01-01T00:00:00Z',
        tenantId: victim.tenantId,
      }),
      code: 'nothing',
    }),
    setWebhookSecret: () => ({
      args: input({ secret: newSecret(), tenantId: victim.tenantId }),
      code: 'BAD_USER_INPUT',
    }),
    revokeWalletAddressKey: () => ({ args: input({ id: theirs.key }), code: 'NOT_FOUND' }),
    setFee: () => ({
      args: input({ assetId: theirs.asset, type: 'SENDING', fee: { fixed: '100', basisPoints: 0 } }),
      code: 'NOT_FOUND',
    }),
    triggerWalletAddressEvents: () => ({ args: input({ limit: 100 }), code: 'nothing' }),
    updateAsset: () => ({ args: input({ id: theirs.asset, liquidityThreshold: '1' }), code: 'NOT_FOUND' }),
    updateIncomingPayment: () => ({
      args: input({ id: theirs.incomingPayment, metadata: { of: 'eve' }, idempotencyKey: undefined }),
      code: 'NOT_FOUND',
    }),
    updatePeer: () => ({ args: input({ id: theirs.peer, name: 'eve' }), code: 'NOT_FOUND' }),
    updateTenant: () => ({ args: { input: { id: victim.tenantId, publicName: 'eve' } }, code: 'NOT_FOUND' }),
    updateWalletAddress: () => ({
      args: input({ id: theirs.walletAddress, publicName: 'eve' }),
      code: 'NOT_FOUND',
    }),
    voidLiquidityWithdrawal: () => ({ args: input({ withdrawalId: theirs.withdrawal }), code: 'NOT_FOUND' }),
    withdrawEventLiquidity: () => ({ args: input({ eventId: theirs.event }), code: 'BAD_USER_INPUT' }),
  }
  /** Whoever knows the URL of a receiver may read and pay it, as over Open Payments; and everybody may ask who they are. */
  const open = ['receiver', 'whoami']

  it('tries every query and mutation of the schema', () => {
    assert.deepEqual([...Object.keys(attempts), ...open].sort(), Object.keys(rootFields(admin.schema)).sort())
  })

  for (const [name, attempt] of Object.entries(attempts))
    it(`${name}: nothing of another tenant's is shown or changed`, async () => {
      const before = await books()
      const { args, code } = attempt()
      const { data, errors } = await admin.call(intruder, name, args)
      if (code === 'nothing') {
        assert.equal(errors, undefined, JSON.stringify(errors))
        const answer = data?.answer as Record<string, unknown> | null
        const lists = Object.values(answer ?? {}).filter(Array.isArray)
        const isEmpty = lists.length > 0 && lists.every((list) => list.length === 0)
        if (answer !== null) assert.ok(isEmpty || answer.count === 0, JSON.stringify(answer))
      } else {
        assert.equal(errors?.[0]?.extensions.code, code, JSON.stringify({ data, errors }))
        assert.ok(!data?.answer, JSON.stringify(data))
      }
      for (const id of Object.values(theirs))
        if (!JSON.stringify(args).includes(id))
          assert.ok(!JSON.stringify({ data, errors }).includes(id), `the answer names ${id}`)
      assert.equal(await books(), before)
    })

  it('the same calls work for the owner, so the refusals above are about the tenant', async () => {
    for (const name of ['asset', 'peer', 'walletAddress', 'incomingPayment', 'outgoingPayment', 'quote']) {
      const args = attempts[name]?.().args
      assert.ok(args)
      assert.equal((await succeed(victim, name, args)).id, args.id)
    }
    for (const name of [
      'assets',
      'peers',
      'walletAddresses',
      'incomingPayments',
      'outgoingPayments',
      'webhookEvents',
    ]) {
      const { edges } = (await succeed(victim, name, attempts[name]?.().args ?? {})) as { edges?: unknown[] }
      assert.ok(edges && edges.length > 0, name)
    }
    for (const name of [
      'voidLiquidityWithdrawal',
      'cancelOutgoingPayment',
      'revokeWalletAddressKey',
      'updatePeer',
    ])
      await succeed(victim, name, attempts[name]?.().args ?? {})
  })

  it("a signature of one tenant's does not speak for another", async () => {
    const { tenantId } = victim
    assert.equal((await admin.ask({ ...intruder, tenantId }, '{ whoami { id } }')).status, 401)
  })
})
