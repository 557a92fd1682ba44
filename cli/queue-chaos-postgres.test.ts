import { after, before, test } from 'node:test'
import { postgresMischief } from './testing/broker-mischief.ts'
import { payThroughChaos } from './testing/queue-chaos.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

let banks: TestBanks
before(async () => {
  banks = await startTestBanks()
})
after(() => banks.close())

test('jobs that come twice, early and late, and workers that are killed: every payment is paid once', () =>
  payThroughChaos(banks, async (name, random) => postgresMischief(banks.databases[name].resources, random)))
