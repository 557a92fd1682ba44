// `npm run audit`: checks the books of the two banks that `npm start` keeps. Starts PostgreSQL when it is not running.
import { join } from 'node:path'
import { FolderInUse, startEmbeddedPostgres } from '../shared/embedded-postgres/index.ts'
import { messageOf } from '../shared/platform/index.ts'
import { type AuditedBank, auditBanks, describeFindings } from './audit/audit-banks.ts'
import { readConnections } from './connections.ts'
import { parseAuditOptions } from './options.ts'

/** Databases named on the command line (`name=postgresql://…`), else those of `npm start`. */
function namedBanks(args: readonly string[]): Record<string, { resources: string }> | undefined {
  if (args.length === 0) return undefined
  return Object.fromEntries(
    args.map((arg) => {
      const at = arg.indexOf('=')
      if (at < 1) throw new Error(`expected name=postgresql://…, got ${arg}`)
      return [arg.slice(0, at), { resources: arg.slice(at + 1) }]
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
  const { dataFolder, databases } = parseAuditOptions(process.argv.slice(2))
  const named = namedBanks(databases)
  const { banks, close } = named
    ? { banks: named, close: async () => undefined }
    : await startedBanks(dataFolder)
  try {
    const findings = await auditBanks(banks)
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
