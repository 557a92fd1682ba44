import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { deriveId, uuidv7 } from '../platform/index.ts'
import { expiryId } from './contents.ts'
import { deriveTransferId, isChosenId } from './derived-ids.ts'

/** As libraries that make and check UUIDs see them. */
const RFC_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

test('what wallets may choose and what the node derives have no id in common', () => {
  let changed = 0
  const ids = new Set<string>()
  for (let index = 0; index < 20_000; index++) {
    const id = deriveTransferId('close', 'account', index)
    assert.ok(!isChosenId(id) && !isChosenId(id.toUpperCase()), id)
    assert.doesNotMatch(id, RFC_UUID)
    const former = deriveId('close', 'account', index)
    if (id !== former) changed++
    assert.equal(id.slice(0, 19), former.slice(0, 19))
    assert.equal(id.slice(20), former.slice(20))
    ids.add(id)
    assert.ok(!isChosenId(expiryId(former)), 'nobody keeps a copy of the ledger from being made')
  }
  assert.equal(ids.size, 20_000)
  assert.ok(changed > 4_500 && changed < 5_500, `a quarter: ${changed}`)
  for (const id of [randomUUID(), randomUUID().toUpperCase(), uuidv7()]) assert.ok(isChosenId(id), id)
})
