import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '../../platform/index.ts'
import { openTestTigerBeetle, withoutTigerBeetle } from '../../testing/index.ts'
import { ledgerContract } from '../contract.ts'
import { createTigerBeetleLedger } from './ledger.ts'

/** The cluster's clock is not ours. */
const CLOCK_MARGIN_MS = 100

if (withoutTigerBeetle) test('ledger contract: TigerBeetle', { skip: withoutTigerBeetle }, () => undefined)
else
  ledgerContract('TigerBeetle', async () => {
    const cluster = await openTestTigerBeetle()
    const open = () =>
      createTigerBeetleLedger({
        ...cluster,
        log: silentLogger,
        outcomeTimeoutMs: 60_000,
        silenceMsMax: 60_000,
        connectMsMax: 60_000,
      })
    const ledger = await open()
    return {
      ledger,
      another: open,
      passSeconds: async (seconds) => await sleep(seconds * 1000 + CLOCK_MARGIN_MS),
      async close() {
        await ledger.close()
        await cluster.stop()
      },
    }
  })
