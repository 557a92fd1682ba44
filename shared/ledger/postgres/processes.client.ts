/** What `processes.test.ts` runs in processes of their own: look-ups, then all chains at once, then the statuses are reported. */
import { silentLogger } from '../../platform/index.ts'
import type { LedgerId, TransferEvent } from '../port.ts'
import { createPostgresLedger } from './ledger.ts'

interface Order {
  connectionString: string
  lookups: LedgerId[]
  chains: TransferEvent[][]
}

process.once('message', async ({ connectionString, lookups, chains }: Order) => {
  const ledger = createPostgresLedger({ connectionString, log: silentLogger })
  await ledger.lookupTransfers(lookups)
  const results = await Promise.all(chains.map((chain) => ledger.createTransfers(chain)))
  await ledger.close()
  process.send?.(results, () => process.disconnect())
})
process.send?.('ready')
