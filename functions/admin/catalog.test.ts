import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { type Answer, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

describe('assets, peers and wallet addresses over the Admin API', () => {
  let admin: TestAdmin
  let owner: Party
  let stranger: Party
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'))
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
})
