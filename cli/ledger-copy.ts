// `npm run ledger:copy`: copies the node's Postgres ledger into its TigerBeetle cluster, compares the two, and ends all booking in Postgres.
// `--reopen`: takes that back while nothing was booked in TigerBeetle; `--reopen=unchecked`: whatever was (docs/ledgers.md).
import { createLogger, messageOf, withEnvironmentFile } from '../shared/platform/index.ts'
import { copyToTigerBeetle, reopenPostgres } from './move-ledger.ts'

const REOPEN = ['--reopen', '--reopen=unchecked']

try {
  const [reopen, ...more] = process.argv.slice(2)
  const wrong = reopen !== undefined && !REOPEN.includes(reopen) ? reopen : more[0]
  if (wrong !== undefined) throw new Error(`unknown argument ${wrong}; known: ${REOPEN.join(', ')}`)
  const log = createLogger({ level: 'warn', name: 'ledger-copy' })
  const env = withEnvironmentFile(process.env)
  if (reopen !== undefined)
    await reopenPostgres(env, { log, print: console.log, isUnchecked: reopen !== REOPEN[0] })
  else if (!(await copyToTigerBeetle(env, log, console.log))) process.exitCode = 1
} catch (error) {
  console.error(messageOf(error))
  process.exitCode = 1
}
