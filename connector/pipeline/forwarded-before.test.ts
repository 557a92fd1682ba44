import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Transfer } from '../../shared/ledger/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import { parsePrepare, serializePrepare } from '../packet/index.ts'
import { testPrepare } from '../testing/test-hop.ts'
import { AnswerUnknown } from './errors.ts'
import { findForwardedBefore, rejectIfNew } from './forwarded-before.ts'
import type { IdentifiedPacket, IncomingPacket } from './model.ts'
import { coverId, packetIdOf, transferId } from './movement.ts'
import { createRejects } from './rejects.ts'

const asset = { id: uuidv7(), assetCode: 'USD', assetScale: 2, ledger: 1 }
const prepare = parsePrepare(serializePrepare(testPrepare('test.x')))
const incoming: IncomingPacket = {
  account: { kind: 'peer', id: uuidv7(), tenantId: uuidv7(), asset },
  prepare,
}
const conditionHex = prepare.executionCondition.toString('hex')
const packet: IdentifiedPacket = { ...incoming, conditionHex, packetId: packetIdOf(incoming, conditionHex) }
const [late, cover] = [transferId(packet, 'source', 'late'), coverId(packet)]

const movement = {
  debitAccountId: packet.account.id,
  creditAccountId: uuidv7(),
  ledger: 1,
  code: 1,
  amount: prepare.amount,
  userData128: packet.account.id,
  userData64: 0n,
  userData32: 1,
  createdAt: new Date(),
}
const hold = (state: NonNullable<Transfer['state']>): Transfer => ({
  ...movement,
  id: packet.packetId,
  kind: 'pending',
  state,
})
const posted = (id: string): Transfer => ({ ...movement, id, kind: 'posted' })
const ledgerWith = (...transfers: Transfer[]) => ({
  lookupTransfers: async (ids: readonly string[]) =>
    ids.map((id) => transfers.find((transfer) => transfer.id === id)),
})

test('a hold that ended gave its money back, unless it was posted beside it', async () => {
  const cases: [Transfer[], string][] = [
    [[], 'never'],
    [[hold('pending')], 'held'],
    [[hold('posted')], 'moved'],
    [[posted(packet.packetId)], 'moved'],
    [[hold('voided')], 'ended'],
    [[hold('expired')], 'ended'],
    [[hold('expired'), posted(late)], 'moved'],
    [[hold('expired'), posted(cover)], 'moved'],
  ]
  for (const [transfers, expected] of cases)
    assert.equal(await findForwardedBefore({ ledger: ledgerWith(...transfers) }, packet), expected)
})

test('a Reject is given where nothing moved, and no answer where something did or the ledger cannot tell', async () => {
  const reject = createRejects('test.node')('F02', 'nobody')
  const refuse = (ledger: Parameters<typeof rejectIfNew>[0]['ledger'], changed = packet) =>
    rejectIfNew({ ledger }, changed, reject)
  assert.equal(await refuse(ledgerWith()), reject)
  assert.equal(await refuse(ledgerWith(hold('voided'))), reject)
  await assert.rejects(refuse(ledgerWith(hold('pending'))), AnswerUnknown)
  const away = { lookupTransfers: () => Promise.reject(new Error('away')) }
  await assert.rejects(refuse(away), AnswerUnknown)
  // What moves nothing, and the node's own new packets, are not looked up.
  assert.equal(await refuse(away, { ...packet, prepare: { ...prepare, amount: 0n } }), reject)
  assert.equal(await refuse(away, { ...packet, account: { ...packet.account, kind: 'payment' } }), reject)
})
