import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { createArena } from './binary.ts'
import type { Connections } from './connections.ts'
import { readTransfers } from './reads.ts'
import { createReservations } from './reservations.ts'

/** As the ledger stores an open reservation, the third of five that were made together. */
const row = (id: string) => ({
  place: '1',
  id,
  debit_account_id: randomUUID(),
  credit_account_id: randomUUID(),
  ledger: 1,
  code: 1,
  amount: '10',
  kind: 1,
  pending_id: null,
  timeout: 60,
  user_data_128: randomUUID(),
  user_data_64: '-1',
  user_data_32: -1,
  created_at: new Date(),
  expires_at: new Date(),
  state: 'pending',
  hold_id: randomUUID(),
  hold_bit: 2,
  hold_size: 5,
})

test('what a look-up finds is remembered, but not the word of a server whose connection was lost meanwhile', async () => {
  const reservations = createReservations(10)
  const id = randomUUID()
  const found = row(id)
  let whileAsking = () => reservations.clear()
  const connections: Connections = {
    async run() {
      whileAsking()
      return [found]
    },
    close: async () => undefined,
  }
  const look = () => readTransfers(connections, createArena(), [id], undefined, reservations)
  assert.equal((await look())[0]?.id, id)
  assert.equal(reservations.get(id), undefined)
  whileAsking = () => undefined
  await look()
  const { hold, bit, amount, userData64, userData32 } = reservations.get(id) ?? assert.fail()
  assert.deepEqual([hold, bit, amount], [{ id: found.hold_id, size: 5 }, 2, 10n])
  assert.deepEqual([userData64, userData32], [2n ** 64n - 1n, 2 ** 32 - 1])
  found.state = 'voided'
  await look()
  assert.equal(reservations.get(id), undefined)
})
