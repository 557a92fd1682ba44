import { testClock } from '../testing/index.ts'
import { ledgerContract } from './contract.ts'
import { createModelLedger } from './model.ts'

ledgerContract('the model in memory', async () => {
  const clock = testClock()
  const ledger = createModelLedger(clock)
  return {
    ledger,
    another: async () => ledger,
    passSeconds: async (seconds) => clock.advance(seconds * 1000),
    close: async () => undefined,
  }
})
