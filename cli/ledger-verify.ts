// `npm run ledger:verify`: compares the node's Postgres ledger with its TigerBeetle cluster, or with another Postgres ledger
// (`--against=postgresql://…`). Changes neither (docs/ledgers.md).
import { createLogger, messageOf, withEnvironmentFile } from '../shared/platform/index.ts'
import { verifyLedgers } from './move-ledger.ts'

const AGAINST = '--against='

function parseAgainst(args: readonly string[]): string | undefined {
  const wrong = args.find((arg, index) => index > 0 || !/^--against=postgres(ql)?:\/\//.test(arg))
  if (wrong !== undefined) throw new Error(`unknown argument ${wrong}; known: ${AGAINST}postgresql://…`)
  return args[0]?.slice(AGAINST.length)
}

try {
  const against = parseAgainst(process.argv.slice(2))
  const log = createLogger({ level: 'warn', name: 'ledger-verify' })
  const isEqual = await verifyLedgers(withEnvironmentFile(process.env), { against, log, print: console.log })
  if (!isEqual) process.exitCode = 1
} catch (error) {
  console.error(messageOf(error))
  process.exitCode = 1
}
