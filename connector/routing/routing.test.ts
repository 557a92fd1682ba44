import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { silentLogger } from '../../shared/platform/index.ts'
import { testClock, waitFor } from '../../shared/testing/index.ts'
import type { Peer } from './model.ts'
import { createPeerDirectory } from './peer-directory.ts'
import { buildRouteTable } from './route-table.ts'

const usd = { id: 'usd', assetCode: 'USD', assetScale: 2, ledger: 1 }
const eur = { id: 'eur', assetCode: 'EUR', assetScale: 2, ledger: 2 }

const peer = (id: string, fields: Partial<Peer> = {}): Peer => ({
  id,
  tenantId: 't',
  asset: usd,
  staticIlpAddress: `test.${id}`,
  routes: [],
  endpoint: 'http://127.0.0.1:1/',
  outgoingToken: 'out',
  incomingTokenHashes: [hash('sha256', `token-${id}`, 'hex')],
  ...fields,
})

const query = (
  destination: string,
  fields: { assetId?: string; incomingPeerId?: string; tenantId?: string } = {},
) => ({
  tenantId: 't',
  assetId: 'usd',
  destination,
  ...fields,
})

test('the longest prefix wins, by whole segments', () => {
  const table = buildRouteTable([
    peer('a', { staticIlpAddress: 'test.net' }),
    peer('b', { staticIlpAddress: 'test.net.bank' }),
    peer('c', { staticIlpAddress: 'test.other', routes: ['test.net.bank.deep', 'g'] }),
  ])
  assert.equal(table.findRoute(query('test.net'))?.id, 'a')
  assert.equal(table.findRoute(query('test.net.x.y'))?.id, 'a')
  assert.equal(table.findRoute(query('test.net.bank.tok~en_-1'))?.id, 'b')
  assert.equal(table.findRoute(query('test.net.bankrupt.x'))?.id, 'a')
  assert.equal(table.findRoute(query('test.net.bank.deep.x'))?.id, 'c')
  assert.equal(table.findRoute(query('test.netx')), undefined)
  assert.equal(table.findRoute(query('g.anything.at.all'))?.id, 'c')
  assert.equal(table.findRoute(query('test')), undefined)
  assert.equal(table.findRoute(query('example.x')), undefined)
})

test('never back to the peer it came from: a shorter route is used, or none', () => {
  const table = buildRouteTable([
    peer('a', { staticIlpAddress: 'test.net.bank' }),
    peer('b', { staticIlpAddress: 'test.net' }),
  ])
  assert.equal(table.findRoute(query('test.net.bank.x', { incomingPeerId: 'a' }))?.id, 'b')
  assert.equal(table.findRoute(query('test.net.x', { incomingPeerId: 'b' })), undefined)
})

test('the same asset is preferred, then the lowest id; the choice does not depend on the order of loading', () => {
  const peers = [
    peer('3', { staticIlpAddress: 'test.x', asset: usd }),
    peer('1', { staticIlpAddress: 'test.x', asset: eur }),
    peer('2', { staticIlpAddress: 'test.y', asset: usd, routes: ['test.x'] }),
  ]
  for (const order of [peers, [...peers].reverse()]) {
    const table = buildRouteTable(order)
    assert.equal(table.findRoute(query('test.x.1'))?.id, '2')
    assert.equal(table.findRoute(query('test.x.1', { assetId: 'eur' }))?.id, '1')
    assert.equal(table.findRoute(query('test.x.1', { assetId: 'gbp' }))?.id, '1')
    assert.equal(table.findRoute(query('test.x.1', { incomingPeerId: '2' }))?.id, '3')
  }
})

test('what lies below the own address goes to nodes below it, and never out on a shorter route', () => {
  const table = buildRouteTable([
    peer('a', { staticIlpAddress: 'test.up', routes: ['test', 'test.node'] }),
    peer('b', { staticIlpAddress: 'test.node.child' }),
  ])
  const at = (destination: string) => table.findRoute({ ...query(destination), ownAddress: 'test.node' })?.id
  for (const own of ['test.node', 'test.node.x', 'test.node.x.y', 'test.node.children'])
    assert.equal(at(own), undefined, own)
  assert.equal(at('test.node.child'), 'b')
  assert.equal(at('test.node.child.x'), 'b')
  assert.equal(at('test.nodes.x'), 'a')
  assert.equal(at('test.other'), 'a')
  assert.equal(table.findRoute(query('test.node.x'))?.id, 'a')
})

test('tenants do not route through each other', () => {
  const table = buildRouteTable([peer('a', { tenantId: 'one', staticIlpAddress: 'test.x' })])
  assert.equal(table.findRoute(query('test.x.1', { tenantId: 'two' })), undefined)
  assert.equal(table.findRoute(query('test.x.1', { tenantId: 'one' }))?.id, 'a')
})

/** A database of peers and its notifications. */
function source(initial: Peer[]) {
  const state = { peers: initial, loads: 0, gate: Promise.resolve(), error: undefined as Error | undefined }
  let notify: (payload: string | undefined) => void = () => {}
  const clock = testClock()
  const open = () =>
    createPeerDirectory({
      async loadPeers() {
        state.loads++
        if (state.error) throw state.error
        const { peers } = state
        await state.gate
        return peers
      },
      listener: {
        listen(channel, handler) {
          assert.equal(channel, 'peers')
          notify = handler
        },
      },
      channel: 'peers',
      clock,
      log: silentLogger,
    })
  return { state, clock, open, notify: () => notify('id') }
}

test('all peers are loaded, however many, and found by token', async () => {
  const { open } = source(Array.from({ length: 250 }, (_, index) => peer(`p${index}`)))
  const directory = await open()
  assert.equal(directory.size, 250)
  assert.equal(directory.findRoute(query('test.p249.x'))?.id, 'p249')
  assert.equal((await directory.findPeerByToken('token-p249'))?.id, 'p249')
  await directory.close()
})

test('a change is seen after its notification: a revoked token, a new peer, another route', async () => {
  const { open, state, notify } = source([peer('a')])
  const directory = await open()
  assert.equal((await directory.findPeerByToken('token-a'))?.id, 'a')
  state.peers = [peer('a', { incomingTokenHashes: [], staticIlpAddress: 'test.moved' }), peer('b')]
  notify()
  await waitFor(() => directory.size === 2)
  assert.equal(await directory.findPeerByToken('token-a'), undefined)
  assert.equal(directory.findRoute(query('test.a.x')), undefined)
  assert.equal(directory.findRoute(query('test.moved.x'))?.id, 'a')
  await directory.close()
})

test('a change during a load makes another load', async () => {
  const { open, state, notify } = source([peer('a')])
  const directory = await open()
  const gate = Promise.withResolvers<void>()
  state.gate = gate.promise
  notify()
  // This load has read its rows already; what comes now is not among them.
  state.peers = [peer('a'), peer('b')]
  notify()
  notify()
  gate.resolve()
  await waitFor(() => directory.size === 2)
  assert.equal(state.loads, 3)
  await directory.close()
})

test('an unknown token loads once, not once per guess; a peer made a moment ago is found by it', async () => {
  const { open, state, clock } = source([peer('a')])
  const directory = await open()
  state.peers = [peer('a'), peer('b')]
  assert.equal((await directory.findPeerByToken('token-b'))?.id, 'b')
  assert.equal(state.loads, 2)
  for (let guess = 0; guess < 50; guess++)
    assert.equal(await directory.findPeerByToken(`guess-${guess}`), undefined)
  assert.equal(state.loads, 2)
  clock.advance(1_000)
  assert.equal(await directory.findPeerByToken('guess'), undefined)
  assert.equal(state.loads, 3)
  await directory.close()
})

test('a database that is away leaves the known peers, and the load is tried again', async () => {
  const { open, state, notify } = source([peer('a')])
  const directory = await open()
  state.error = new Error('away')
  notify()
  await waitFor(() => state.loads === 2)
  assert.equal(directory.findRoute(query('test.a.x'))?.id, 'a')
  state.error = undefined
  state.peers = [peer('a'), peer('b')]
  await waitFor(() => directory.size === 2)
  await directory.close()
})
