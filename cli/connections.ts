import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditedBank } from './audit/audited-bank.ts'

const fileIn = (dataFolder: string) => join(dataFolder, 'connections.json')

/** Written by `npm start` for commands that want to look at its databases meanwhile. Holds the server's password: 0600. */
export async function writeConnections(
  dataFolder: string,
  banks: Record<string, AuditedBank>,
): Promise<void> {
  await mkdir(dataFolder, { recursive: true })
  await writeFile(fileIn(dataFolder), JSON.stringify(banks), { mode: 0o600 })
}

/** What {@link writeConnections} wrote last. Throws when there was no `npm start` yet. */
export async function readConnections(dataFolder: string): Promise<Record<string, AuditedBank>> {
  const text = await readFile(fileIn(dataFolder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new Error('there are no banks here yet; npm start makes them')
    throw error
  })
  return JSON.parse(text) as Record<string, AuditedBank>
}
