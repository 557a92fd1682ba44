import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { depositLiquidity } from '../../shared/assets/index.ts'
import { accountCode } from '../../shared/ledger/index.ts'
import { findPeerByIncomingToken } from '../../shared/peers/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase, startTestHttpServer } from '../../shared/testing/index.ts'
import { findWalletAddressForPackets } from '../../shared/wallet-addresses/index.ts'
import { type Answer, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

describe('assets, peers and wallet addresses over the Admin API', () => {
  let admin: TestAdmin
  let owner: Party
  let stranger: Party
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'), {
      EGRESS_ALLOW: '127.0.0.1',
      EGRESS_ALLOW_HTTP: 'true',
      ILP_CONNECTOR_URL: 'https://bank.example/ilp',
      INSTANCE_NAME: 'The bank',
    })
    owner = await admin.newTenant('owner')
    stranger = await admin.newTenant('stranger')
  })
  after(() => admin.close())

  const key = () => ({ idempotencyKey: uuidv7() })
  const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code
  /** Runs a mutation with these fields and returns one part of its answer. */
  const make = async (party: Party, name: string, input: Record<string, unknown>, part: string) =>
    (await admin.succeed(party, name, { input: { ...input, ...key() } }))[part] as Record<string, unknown> & {
      id: string
    }
  const refusal = async (party: Party, name: string, input: Record<string, unknown>) =>
    codeOf(await admin.call(party, name, { input: { ...input, ...key() } }))
  let scale = 0
  const newAsset = (party: Party, fields: Record<string, unknown> = {}) =>
    make(party, 'createAsset', { code: 'USD', scale: scale++, ...fields }, 'asset')
  const walletOf = (party: Party, assetId: string, name: string) =>
    make(party, 'createWalletAddress', { assetId, address: `${party.prefix}/${name}` }, 'walletAddress')

  /** Foreign ids answer like unknown ones, malformed ones are bad input; the operator's own rule is the contract's. */
  const refusedElsewhere = async (
    name: string,
    input: (id: string) => Record<string, unknown>,
    id: string,
    operator: 'reaches' | 'own only',
  ) => {
    const foreign = await admin.call(stranger, name, { input: { ...input(id), ...key() } })
    const unknown = await admin.call(stranger, name, { input: { ...input(uuidv7()), ...key() } })
    assert.equal(codeOf(foreign), 'NOT_FOUND', name)
    assert.deepEqual(foreign.errors?.[0]?.message, unknown.errors?.[0]?.message)
    assert.deepEqual(foreign.errors?.[0]?.extensions, unknown.errors?.[0]?.extensions)
    assert.equal(await refusal(owner, name, input('not an id')), 'BAD_USER_INPUT', name)
    if (operator === 'own only') assert.equal(await refusal(admin.operator, name, input(id)), 'NOT_FOUND')
  }

  describe('assets', () => {
    it('updateAsset replaces both thresholds; what is left out, or null, is cleared', async () => {
      const { id } = await newAsset(owner, { liquidityThreshold: '5', withdrawalThreshold: '6' })
      const update = (fields: Record<string, unknown>) =>
        make(owner, 'updateAsset', { id, ...fields }, 'asset')
      const both = await update({ liquidityThreshold: '7', withdrawalThreshold: '18446744073709551615' })
      assert.deepEqual([both.liquidityThreshold, both.withdrawalThreshold], ['7', '18446744073709551615'])
      const one = await update({ withdrawalThreshold: '8' })
      assert.deepEqual([one.liquidityThreshold, one.withdrawalThreshold], [null, '8'])
      const none = await update({ withdrawalThreshold: null })
      assert.deepEqual([none.liquidityThreshold, none.withdrawalThreshold], [null, null])
      const read = await admin.succeed(owner, 'asset', { id })
      assert.deepEqual([read.liquidityThreshold, read.withdrawalThreshold], [null, null])
      await refusedElsewhere('updateAsset', (assetId) => ({ id: assetId }), id, 'own only')
    })

    it('deleteAsset: forbidden while something uses it; then gone from lists; createAsset brings it back', async () => {
      const asset = await newAsset(owner, { liquidityThreshold: '5' })
      await walletOf(owner, asset.id, 'uses-an-asset')
      assert.equal(await refusal(owner, 'deleteAsset', { id: asset.id }), 'FORBIDDEN')
      const spare = await newAsset(owner, { liquidityThreshold: '5' })
      await refusedElsewhere('deleteAsset', (id) => ({ id }), spare.id, 'own only')
      const input = { input: { id: spare.id, ...key() } }
      for (let repeat = 0; repeat < 2; repeat++)
        assert.equal(
          ((await admin.succeed(owner, 'deleteAsset', input)).asset as { id: string }).id,
          spare.id,
        )
      assert.equal(codeOf(await admin.call(owner, 'asset', { id: spare.id })), 'NOT_FOUND')
      assert.equal(await refusal(owner, 'deleteAsset', { id: spare.id }), 'NOT_FOUND')
      assert.equal(await refusal(owner, 'updateAsset', { id: spare.id }), 'NOT_FOUND')
      const { edges } = (await admin.succeed(owner, 'assets', { first: 100 })) as {
        edges?: { cursor: string }[]
      }
      assert.ok(edges?.every(({ cursor }) => cursor !== spare.id))
      const pair = { code: 'USD', scale: spare.scale }
      assert.equal((await admin.succeed(owner, 'assetByCodeAndScale', pair)).id, spare.id)
      const back = await make(owner, 'createAsset', { ...pair, liquidityThreshold: '9' }, 'asset')
      assert.deepEqual([back.id, back.liquidityThreshold], [spare.id, '5'])
      assert.equal(await refusal(owner, 'createAsset', pair), 'DUPLICATE')
      assert.equal((await admin.succeed(owner, 'asset', { id: spare.id })).id, spare.id)
    })

    it('a balance is shown also where it is more than one transfer carries', async () => {
      const { id: assetId } = await newAsset(owner)
      const amount = '18446744073709551615'
      for (let count = 0; count < 2; count++)
        await admin.succeed(owner, 'depositAssetLiquidity', {
          input: { assetId, id: uuidv7(), amount, ...key() },
        })
      assert.equal((await admin.succeed(owner, 'asset', { id: assetId })).liquidity, '36893488147419103230')
    })

    it('assetByCodeAndScale finds the own asset only, also for the operator', async () => {
      const asset = await newAsset(owner)
      const pair = { code: 'USD', scale: asset.scale }
      assert.equal((await admin.succeed(owner, 'assetByCodeAndScale', pair)).id, asset.id)
      for (const party of [stranger, admin.operator])
        assert.equal(await admin.succeed(party, 'assetByCodeAndScale', pair), null)
    })

    it('fees: the latest of each type applies, and all of them are listed, by page', async () => {
      const { id: assetId } = await newAsset(owner)
      const set = (type: string, fixed: string) =>
        make(owner, 'setFee', { assetId, type, fee: { fixed, basisPoints: 10 } }, 'fee')
      for (const fixed of ['1', '2', '3']) await set('SENDING', fixed)
      await set('RECEIVING', '4')
      const query = `query Fees($id: String!, $first: Int, $after: String, $sortOrder: SortOrder) { asset(id: $id) {
        sendingFee { fixed } receivingFee { fixed }
        fees(first: $first, after: $after, sortOrder: $sortOrder) {
          edges { cursor node { fixed type assetId } } pageInfo { endCursor hasNextPage hasPreviousPage } } } }`
      type Fees = {
        edges: { node: { fixed: string; assetId: string } }[]
        pageInfo: { endCursor: string; hasNextPage: boolean; hasPreviousPage: boolean }
      }
      const ask = async (variables: Record<string, unknown>) => {
        const { data, errors } = await admin.ask(owner, query, { id: assetId, ...variables })
        assert.equal(errors, undefined)
        return data?.asset as { sendingFee: unknown; receivingFee: unknown; fees: Fees }
      }
      const fixedOf = ({ fees }: { fees: Fees }) => fees.edges.map(({ node }) => node.fixed)
      const first = await ask({ first: 3 })
      assert.deepEqual([first.sendingFee, first.receivingFee], [{ fixed: '3' }, { fixed: '4' }])
      assert.deepEqual(fixedOf(first), ['4', '3', '2'])
      assert.deepEqual([first.fees.pageInfo.hasNextPage, first.fees.pageInfo.hasPreviousPage], [true, false])
      const rest = await ask({ first: 3, after: first.fees.pageInfo.endCursor })
      assert.deepEqual(fixedOf(rest), ['1'])
      assert.deepEqual([rest.fees.pageInfo.hasNextPage, rest.fees.pageInfo.hasPreviousPage], [false, true])
      assert.deepEqual(fixedOf(await ask({ sortOrder: 'ASC' })), ['1', '2', '3', '4'])
    })
  })

  describe('peers', () => {
    let count = 0
    const newPeer = (party: Party, assetId: string, fields: Record<string, unknown> = {}) =>
      make(
        party,
        'createPeer',
        {
          assetId,
          staticIlpAddress: `test.net${++count}`,
          http: {
            outgoing: { endpoint: 'https://peer.example/ilp', authToken: `out-${uuidv7()}` },
            incoming: { authTokens: [`in-${count}`] },
          },
          ...fields,
        },
        'peer',
      )

    it('peerByAddressAndAsset: the longest prefix, whole segments, of the asset, in the own routes', async () => {
      const [usd, other, foreign] = [await newAsset(owner), await newAsset(owner), await newAsset(stranger)]
      const near = await newPeer(owner, usd.id, { staticIlpAddress: 'test.far.near' })
      const far = await newPeer(owner, usd.id, { staticIlpAddress: 'test.far', routes: ['g'] })
      const elsewhere = await newPeer(owner, other.id, { staticIlpAddress: 'test.far.near.nearest' })
      await newPeer(stranger, foreign.id, { staticIlpAddress: 'test.far.near.nearest.x' })
      const find = async (party: Party, assetId: string, staticIlpAddress: string) =>
        (await admin.succeed(party, 'peerByAddressAndAsset', { assetId, staticIlpAddress }))?.id
      for (const [address, id] of [
        ['test.far.near', near.id],
        ['test.far.near.nearest.x', near.id],
        ['test.far.nearer', far.id],
        ['test.far', far.id],
        ['g.any.where', far.id],
        ['test.farther', undefined],
        ['test', undefined],
        ['', undefined],
        ['%', undefined],
      ] as const)
        assert.equal(await find(owner, usd.id, address), id, address)
      assert.equal(await find(owner, other.id, 'test.far.near.nearest.x'), elsewhere.id)
      assert.equal(await find(owner, foreign.id, 'test.far.near.nearest.x'), undefined)
      for (const party of [stranger, admin.operator])
        assert.equal(await find(party, usd.id, 'test.far.near'), undefined)
      const bad = { assetId: 'no id', staticIlpAddress: 'test.far' }
      assert.equal(codeOf(await admin.call(owner, 'peerByAddressAndAsset', bad)), 'BAD_USER_INPUT')
      assert.equal((await admin.succeed(owner, 'deletePeer', { input: { id: near.id } })).success, true)
      assert.equal(await find(owner, usd.id, 'test.far.near'), far.id)
    })

    it('updatePeer: absent stays, null clears; tokens and routes are replaced as a whole', async () => {
      const asset = await newAsset(owner)
      const full = { name: 'Bank', maxPacketAmount: '10', liquidityThreshold: '5', routes: ['test.beyond'] }
      const peer = await newPeer(owner, asset.id, full)
      const update = (fields: Record<string, unknown>) =>
        make(owner, 'updatePeer', { id: peer.id, ...fields }, 'peer')
      const { name, maxPacketAmount, liquidityThreshold, routes } = await update({})
      assert.deepEqual(
        { name, maxPacketAmount, liquidityThreshold, routes },
        { ...full, routes: [peer.staticIlpAddress, 'test.beyond'] },
      )
      const cleared = await update({ name: null, maxPacketAmount: null, liquidityThreshold: null })
      assert.deepEqual(
        [cleared.name, cleared.maxPacketAmount, cleared.liquidityThreshold],
        [null, null, null],
      )
      const limits = { packetsPerMinute: 90, amountLimit: { amount: '18446744073709551615', seconds: 60 } }
      for (const fields of [limits, {}]) {
        const limited = await update(fields)
        assert.deepEqual(
          { packetsPerMinute: limited.packetsPerMinute, amountLimit: limited.amountLimit },
          limits,
        )
      }
      const unlimited = await update({ packetsPerMinute: null, amountLimit: null })
      assert.deepEqual([unlimited.packetsPerMinute, unlimited.amountLimit], [null, null])
      for (const wrong of [{ packetsPerMinute: 0 }, { amountLimit: { amount: '0', seconds: 60 } }])
        assert.equal(await refusal(owner, 'updatePeer', { id: peer.id, ...wrong }), 'BAD_USER_INPUT')
      assert.deepEqual((await update({ routes: ['g.other'] })).routes, [peer.staticIlpAddress, 'g.other'])
      assert.deepEqual((await update({ routes: [] })).routes, [peer.staticIlpAddress])

      const known = async (token: string) =>
        (await findPeerByIncomingToken(admin.node, token))?.id === peer.id
      const [first, second, third] = [uuidv7(), uuidv7(), uuidv7()]
      const outgoing = { endpoint: 'https://moved.example/ilp', authToken: 'changed' }
      const moved = await update({ http: { outgoing, incoming: { authTokens: [first, second] } } })
      assert.deepEqual(moved.http, { outgoing })
      assert.deepEqual([await known(first), await known(second)], [true, true])
      await update({ http: { outgoing } })
      assert.equal(await known(first), true)
      await update({ http: { outgoing, incoming: { authTokens: [third] } } })
      assert.deepEqual([await known(first), await known(second), await known(third)], [false, false, true])
      const rival = await newPeer(owner, asset.id)
      const stolen = { id: rival.id, http: { outgoing, incoming: { authTokens: [third] } } }
      assert.equal(await refusal(owner, 'updatePeer', stolen), 'DUPLICATE')
      const taken = { id: rival.id, staticIlpAddress: peer.staticIlpAddress }
      assert.equal(await refusal(owner, 'updatePeer', taken), 'DUPLICATE')
      assert.equal(
        await refusal(owner, 'updatePeer', { id: peer.id, routes: ['no route'] }),
        'BAD_USER_INPUT',
      )
      await refusedElsewhere('updatePeer', (id) => ({ id, name: 'x' }), peer.id, 'reaches')
      await refusedElsewhere('deletePeer', (id) => ({ id }), peer.id, 'own only')
    })

    it('createOrUpdatePeerByUrl asks the other node, once per idempotency key, and shows the peer', async () => {
      const asset = await newAsset(owner)
      const bodies: Record<string, unknown>[] = []
      const acceptor = await startTestHttpServer(({ body }) => {
        bodies.push(JSON.parse(body))
        const details = { staticIlpAddress: 'test.acceptor', ilpConnectorUrl: 'https://acceptor.example/ilp' }
        return {
          body: JSON.stringify({ ...details, httpToken: `theirs-${bodies.length}`, name: 'Acceptor' }),
        }
      })
      const peerUrl = acceptor.url.replace('http:', 'https:')
      try {
        const input = { input: { assetId: asset.id, peerUrl, liquidityToDeposit: '9', ...key() } }
        for (let repeat = 0; repeat < 2; repeat++) {
          const { peer } = (await admin.succeed(owner, 'createOrUpdatePeerByUrl', input)) as {
            peer?: { id: string; name: string; liquidity: string; http: { outgoing: unknown } }
          }
          assert.deepEqual([peer?.name, peer?.liquidity], ['Acceptor', '9'])
          assert.deepEqual(peer?.http.outgoing, {
            endpoint: 'https://acceptor.example/ilp',
            authToken: bodies[0]?.httpToken,
          })
        }
        assert.equal(bodies.length, 1)
        assert.deepEqual(
          [bodies[0]?.staticIlpAddress, bodies[0]?.ilpConnectorUrl, bodies[0]?.name],
          [`test.bank.${owner.tenantId}`, 'https://bank.example/ilp', 'The bank'],
        )
      } finally {
        await acceptor.close()
      }
      const nobody = { assetId: asset.id, peerUrl }
      assert.equal(await refusal(owner, 'createOrUpdatePeerByUrl', nobody), 'NOT_FOUND')
      const inside = { assetId: asset.id, peerUrl: 'https://169.254.169.254/' }
      assert.equal(await refusal(owner, 'createOrUpdatePeerByUrl', inside), 'NOT_FOUND')
      await refusedElsewhere(
        'createOrUpdatePeerByUrl',
        (assetId) => ({ assetId, peerUrl }),
        asset.id,
        'own only',
      )
    })

    it('liquidity of a peer follows deposits', async () => {
      const asset = await newAsset(owner)
      const peer = await newPeer(owner, asset.id, { initialLiquidity: '7' })
      assert.equal(peer.liquidity, '7')
      const deposit = { peerId: peer.id, id: uuidv7(), amount: '5' }
      for (let repeat = 0; repeat < 2; repeat++) {
        const code = await refusal(owner, 'depositPeerLiquidity', deposit)
        assert.equal(code, repeat === 0 ? undefined : 'DUPLICATE')
      }
      for (const party of [owner, admin.operator])
        assert.equal((await admin.succeed(party, 'peer', { id: peer.id })).liquidity, '12')
    })
  })

  describe('wallet addresses', () => {
    const amount = (value: string, scaleOf: number) => ({ value, assetCode: 'USD', assetScale: scaleOf })
    /** As a connector credits what packets bring. */
    const credit = async (walletAddressId: string, value: bigint) => {
      const address = await findWalletAddressForPackets(admin.node, walletAddressId)
      assert.ok(address)
      const { ledger } = address.asset
      await admin.node.ledger.createAccounts([
        { id: address.id, ledger, code: accountCode.webMonetization, debitsMustNotExceedCredits: true },
      ])
      await depositLiquidity(admin.node, {
        accountId: address.id,
        tenantId: address.tenantId,
        ledger,
        transferId: uuidv7(),
        amount: value,
      })
    }
    const monetization = async (party: Party) => {
      const { edges } = (await admin.succeed(party, 'webhookEvents', {
        filter: { type: { in: ['wallet_address.web_monetization'] } },
      })) as unknown as { edges: { node: { id: string; data: { walletAddress: { id: string } } } }[] }
      return edges.map(({ node }) => node)
    }

    it('triggerWalletAddressEvents announces what reached the threshold; either way of withdrawing takes it', async () => {
      const asset = await newAsset(owner, { withdrawalThreshold: '10' })
      const [first, second] = [
        await walletOf(owner, asset.id, 'monetized-1'),
        await walletOf(owner, asset.id, 'monetized-2'),
      ]
      await credit(first.id, 10n)
      await credit(second.id, 12n)
      const trigger = async (party: Party, limit: number) =>
        (await admin.succeed(party, 'triggerWalletAddressEvents', { input: { limit, ...key() } })).count
      assert.equal(await refusal(owner, 'triggerWalletAddressEvents', { limit: -1 }), 'BAD_USER_INPUT')
      assert.deepEqual([await trigger(stranger, 10), await trigger(owner, 0)], [0, 0])
      const repeated = { input: { limit: 1, ...key() } }
      for (let repeat = 0; repeat < 2; repeat++)
        assert.equal((await admin.succeed(owner, 'triggerWalletAddressEvents', repeated)).count, 1)
      assert.equal((await monetization(owner)).length, 1)
      assert.equal(await trigger(admin.operator, 10), 1)
      assert.equal(await trigger(owner, 10), 0)
      const events = await monetization(owner)
      const eventOf = (id: string) => events.find(({ data }) => data.walletAddress.id === id)?.id
      assert.equal(events.length, 2)
      assert.deepEqual(await monetization(stranger), [])

      const eventId = eventOf(first.id)
      assert.equal(await refusal(stranger, 'withdrawEventLiquidity', { eventId }), 'BAD_USER_INPUT')
      for (let repeat = 0; repeat < 2; repeat++)
        await admin.succeed(owner, 'withdrawEventLiquidity', { input: { eventId, ...key() } })
      const whole = { walletAddressId: second.id, id: uuidv7(), timeoutSeconds: '0' }
      const withdrawal = await make(owner, 'createWalletAddressWithdrawal', whole, 'withdrawal')
      assert.equal(withdrawal.amount, '12')
      for (const { id } of [first, second])
        assert.equal((await admin.succeed(owner, 'walletAddress', { id })).liquidity, '0')
      // The wallet withdrew before it heard of the event.
      assert.equal(
        await refusal(owner, 'withdrawEventLiquidity', { eventId: eventOf(second.id) }),
        'FORBIDDEN',
      )
    })

    it('updateWalletAddress: name, properties as a whole, status; inactive shortens what is open', async () => {
      const asset = await newAsset(owner)
      const { id } = await make(
        owner,
        'createWalletAddress',
        {
          assetId: asset.id,
          address: `${owner.prefix}/changes`,
          publicName: 'Old',
          additionalProperties: [
            { key: 'shown', value: '1', visibleInOpenPayments: true },
            { key: 'hidden', value: '2', visibleInOpenPayments: false },
            { key: 'blank', value: ' ', visibleInOpenPayments: true },
          ],
        },
        'walletAddress',
      )
      const update = (fields: Record<string, unknown>) =>
        make(owner, 'updateWalletAddress', { id, ...fields }, 'walletAddress')
      const kept = await update({ publicName: 'New' })
      assert.equal(kept.publicName, 'New')
      assert.deepEqual(kept.additionalProperties, [
        { key: 'hidden', value: '2', visibleInOpenPayments: false },
        { key: 'shown', value: '1', visibleInOpenPayments: true },
      ])
      assert.equal((await update({ publicName: null })).publicName, null)
      const other = [{ key: 'other', value: '3', visibleInOpenPayments: true }]
      assert.deepEqual((await update({ additionalProperties: other })).additionalProperties, other)
      assert.deepEqual((await update({ additionalProperties: [] })).additionalProperties, [])

      const payment = await make(owner, 'createIncomingPayment', { walletAddressId: id }, 'payment')
      const soon = new Date(Date.now() + 3_600_000).toISOString()
      const early = await make(
        owner,
        'createIncomingPayment',
        { walletAddressId: id, expiresAt: soon },
        'payment',
      )
      const expiryOf = async (paymentId: string) =>
        Date.parse((await admin.succeed(owner, 'incomingPayment', { id: paymentId })).expiresAt as string)
      const GRACE_MS = 86_400_000
      assert.ok((await expiryOf(payment.id)) > Date.now() + GRACE_MS + 60_000)
      assert.equal((await update({ status: 'INACTIVE' })).status, 'INACTIVE')
      const left = (await expiryOf(payment.id)) - Date.now()
      assert.ok(left <= GRACE_MS && left > GRACE_MS - 60_000, `${left} ms left`)
      assert.equal(await expiryOf(early.id), Date.parse(soon))
      assert.equal(await refusal(owner, 'createIncomingPayment', { walletAddressId: id }), 'INACTIVE')
      assert.equal((await update({ status: 'ACTIVE' })).status, 'ACTIVE')
      await make(owner, 'createIncomingPayment', { walletAddressId: id }, 'payment')
      await refusedElsewhere(
        'updateWalletAddress',
        (walletAddressId) => ({ id: walletAddressId, publicName: 'x' }),
        id,
        'own only',
      )
    })

    it('keys: one active of each kid; revoking again changes nothing; both listed', async () => {
      const asset = await newAsset(owner)
      const { id: walletAddressId } = await walletOf(owner, asset.id, 'keys')
      const newJwk = () => ({
        kid: 'k',
        x: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x,
        alg: 'EdDSA',
        kty: 'OKP',
        crv: 'Ed25519',
      })
      const add = { walletAddressId, jwk: newJwk() }
      const created = await make(owner, 'createWalletAddressKey', add, 'walletAddressKey')
      assert.equal(
        await refusal(owner, 'createWalletAddressKey', { walletAddressId, jwk: newJwk() }),
        'DUPLICATE',
      )
      await refusedElsewhere(
        'createWalletAddressKey',
        (id) => ({ walletAddressId: id, jwk: newJwk() }),
        walletAddressId,
        'reaches',
      )
      await refusedElsewhere('revokeWalletAddressKey', (id) => ({ id }), created.id, 'reaches')
      for (const party of [owner, admin.operator]) {
        const revoked = await make(party, 'revokeWalletAddressKey', { id: created.id }, 'walletAddressKey')
        assert.deepEqual(revoked, { ...created, revoked: true })
      }
      const again = await make(
        admin.operator,
        'createWalletAddressKey',
        { walletAddressId, jwk: newJwk() },
        'walletAddressKey',
      )
      const { walletAddressKeys } = (await admin.succeed(owner, 'walletAddress', {
        id: walletAddressId,
      })) as { walletAddressKeys?: { edges: { cursor: string; node: { revoked: boolean } }[] } }
      assert.deepEqual(
        walletAddressKeys?.edges.map(({ cursor, node }) => [cursor, node.revoked]),
        [
          [again.id, false],
          [created.id, true],
        ],
      )
    })

    it('payments and quotes of an address: its own, by page, also for the operator', async () => {
      const asset = await newAsset(owner)
      const [alice, bob] = [
        await walletOf(owner, asset.id, 'alice-lists'),
        await walletOf(owner, asset.id, 'bob-lists'),
      ]
      const made: Record<string, string[]> = { incomingPayments: [], outgoingPayments: [], quotes: [] }
      for (let round = 0; round < 3; round++) {
        const incoming = await make(
          owner,
          'createIncomingPayment',
          { walletAddressId: bob.id, incomingAmount: amount('100', asset.scale as number) },
          'payment',
        )
        const quoted = await make(
          owner,
          'createQuote',
          { walletAddressId: alice.id, receiver: incoming.url },
          'quote',
        )
        const paid = { walletAddressId: alice.id, quoteId: quoted.id }
        await make(owner, 'createOutgoingPayment', paid, 'payment')
        made.incomingPayments?.push(incoming.id)
        made.outgoingPayments?.push(quoted.id)
        made.quotes?.push(quoted.id)
      }
      for (const [name, ids] of Object.entries(made)) {
        const of = name === 'incomingPayments' ? bob : alice
        const none = name === 'incomingPayments' ? alice : bob
        const query = `query List($id: String!, $first: Int, $after: String) { walletAddress(id: $id) {
          list: ${name}(first: $first, after: $after, sortOrder: ASC) {
            edges { node { id } } pageInfo { endCursor hasNextPage hasPreviousPage } } } }`
        type List = {
          edges: { node: { id: string } }[]
          pageInfo: { endCursor: string; hasNextPage: boolean; hasPreviousPage: boolean }
        }
        const list = async (party: Party, variables: Record<string, unknown>): Promise<List> => {
          const { data, errors } = await admin.ask(party, query, variables)
          assert.equal(errors, undefined, JSON.stringify(errors))
          return (data?.walletAddress as { list: List }).list
        }
        for (const party of [owner, admin.operator]) {
          assert.deepEqual((await list(party, { id: none.id })).edges, [], name)
          const first = await list(party, { id: of.id, first: 2 })
          assert.deepEqual([first.pageInfo.hasNextPage, first.pageInfo.hasPreviousPage], [true, false])
          const rest = await list(party, { id: of.id, first: 2, after: first.pageInfo.endCursor })
          assert.deepEqual([rest.pageInfo.hasNextPage, rest.pageInfo.hasPreviousPage], [false, true])
          const seen = [...first.edges, ...rest.edges].map(({ node }) => node.id)
          assert.deepEqual(seen, ids, name)
        }
        const foreign = await admin.ask(stranger, query, { id: of.id })
        assert.equal(codeOf(foreign), 'NOT_FOUND')
      }
      const filtered = await admin.ask(
        owner,
        `query Filtered($id: String!) { walletAddress(id: $id) {
          admin: incomingPayments(filter: { initiatedBy: { in: ["ADMIN"] } }) { edges { node { id } } }
          others: incomingPayments(filter: { initiatedBy: { notIn: ["ADMIN"] } }) { edges { node { id } } } } }`,
        { id: bob.id },
      )
      const lists = filtered.data?.walletAddress as Record<string, { edges: unknown[] }>
      assert.deepEqual([lists.admin?.edges.length, lists.others?.edges.length], [3, 0])
    })
  })
})
