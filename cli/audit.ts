// `npm run audit`: checks the books of the two banks that `npm start` keeps. Starts PostgreSQL when it is not running.
// `-- --node`: those of the node that has this environment (or `.env`), wherever its ledger is. `-- name=… name=…`: those of several nodes
// together; each is a file with the node's environment, or the URL of a resource database with the ledger in it.
import { join } from 'node:path'
import { FolderInUse, startEmbeddedPostgres } from '../shared/embedded-postgres/index.ts'
import { createLogger, messageOf, withEnvironmentFile } from '../shared/platform/index.ts'
import { auditBanks, describeFindings } from './audit/audit-banks.ts'
import { type AuditedBank, auditedBank, parseAuditedBank } from './audit/audited-bank.ts'
import { readConnections } from './connections.ts'
import { parseAuditOptions } from './options.ts'

/** Nodes that the command line names, if it does; else those of `npm start` are meant. */
function namedBanks(args: readonly string[], isNode: boolean): Record<string, AuditedBank> | undefined {
  if (isNode) return { node: auditedBank(withEnvironmentFile(process.env)) }
  if (args.length === 0) return undefined
  return Object.fromEntries(
    args.map((arg) => {
      const at = arg.indexOf('=')
      if (at < 1) throw new Error(`expected name=postgresql://… or name=file, got ${arg}`)
      return [arg.slice(0, at), parseAuditedBank(arg.slice(at + 1))]
    }),
  )
}

const databasesOf = (connectionString: (database: string) => string) => ({
  a: { resources: connectionString('bank_a') },
  b: { resources: connectionString('bank_b') },
})

/** The databases of `npm start`, and how to leave them as they were found. */
async function startedBanks(
  dataFolder: string,
): Promise<{ banks: Record<string, AuditedBank>; close: () => Promise<void> }> {
  const writtenDown = await readConnections(dataFolder)
  try {
    const postgres = await startEmbeddedPostgres({ folder: join(dataFolder, 'postgres'), durable: true })
    return { banks: databasesOf(postgres.connectionString), close: () => postgres.stop() }
  } catch (error) {
    // `npm start` is running and owns the server.
    if (!(error instanceof FolderInUse)) throw error
    return { banks: writtenDown, close: async () => undefined }
  }
}

async function main(): Promise<number> {
  const { dataFolder, databases, node } = parseAuditOptions(process.argv.slice(2))
  const named = namedBanks(databases, node)
  const { banks, close } = named
    ? { banks: named, close: async () => undefined }
    : await startedBanks(dataFolder)
  try {
    const findings = await auditBanks(banks, { log: createLogger({ level: 'warn', name: 'audit' }) })
    console.log(describeFindings(findings))
    return findings.some((finding) => finding.problem !== undefined) ? 1 : 0
  } finally {
    await close()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(messageOf(error))
  process.exitCode = 1
}
