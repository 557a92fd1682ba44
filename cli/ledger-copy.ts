// `npm run ledger:copy`: copies the node's Postgres ledger into its TigerBeetle cluster, and compares the two (docs/ledgers.md).
import { createLogger, messageOf, withEnvironmentFile } from '../shared/platform/index.ts'
import { copyToTigerBeetle } from './move-ledger.ts'

try {
  if (process.argv.length > 2) throw new Error(`unknown argument ${process.argv[2]}; it takes none`)
  const log = createLogger({ level: 'warn', name: 'ledger-copy' })
  const isEqual = await copyToTigerBeetle(withEnvironmentFile(process.env), log, console.log)
  if (!isEqual) process.exitCode = 1
} catch (error) {
  console.error(messageOf(error))
  process.exitCode = 1
}
