import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startAdmin } from '../functions/admin/wiring.ts'
import type { RunningDeployable } from '../shared/platform/index.ts'
import { waitFor } from '../shared/testing/index.ts'
import { createReceiver, pay } from './payment.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const OVERLAP_MS = 3_000
const timeoutMs = 20_000

describe("a change of a bank's signing key", () => {
  let banks: TestBanks
  let restarted: RunningDeployable | undefined
  before(async () => {
    banks = await startTestBanks({
      environments: { a: { KEY_OVERLAP_SECONDS: String(OVERLAP_MS / 1000) } },
    })
  })
  after(async () => {
    await restarted?.close()
    await banks.close()
  })

  it('is not noticed by the other bank: what it is asked meanwhile it verifies, and payments go on', async () => {
    const plan = {
      payer: banks.side('a', 'alice'),
      payee: banks.side('b', 'bob'),
      receiveValue: 500n,
      timeoutMs,
    }
    const { environment } = plan.payer.bank
    const keySet = `${environment.WALLET_ADDRESS_URL?.replace('https:', 'http:')}/jwks.json`
    const kids = async () => {
      const { keys } = (await (await fetch(keySet)).json()) as { keys: { kid: string }[] }
      return keys.map(({ kid }) => kid).join()
    }
    const old = environment.KEY_ID ?? ''
    const seen = new Set([await kids()])
    await createReceiver(plan)

    // One process of several restarts with the new name.
    restarted = await startAdmin({ ...environment, KEY_ID: 'next-key', ADMIN_PORT: '0' })
    await waitFor(async () => (await kids()) === `next-key,${old}`)
    let asked = 0
    const end = Date.now() + 2 * OVERLAP_MS + 1_000
    while (Date.now() < end) {
      await createReceiver(plan)
      asked++
      seen.add(await kids())
      await delay(20)
    }
    assert.deepEqual([...seen], [old, `next-key,${old}`, 'next-key'])
    assert.ok(asked > 10, String(asked))
    assert.equal((await pay(plan)).outgoing.state, 'COMPLETED')
    await banks.audit()
  })
})
