import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** What runs in a process of its own; `dist/<name>` has everything that it needs. */
export interface Role {
  name: string
  /** Where its entries are. */
  folder: string
  /** `server`, `lambda`, `task`, `queue`: those that it has. */
  entries: readonly string[]
  /** Packages that are not bundled but installed beside, for they have native code. */
  installed: readonly string[]
  /** It is started for a request that waits, or when there is work: its bundle is made for that (`to-scripts.ts`). */
  startsOften: boolean
}

const ENTRIES = ['server', 'lambda', 'task', 'queue']

const roleIn = (name: string, folder: string): Role => ({
  name,
  folder,
  entries: ENTRIES.filter((entry) => existsSync(join(folder, `${entry}.ts`))),
  installed: [],
  startsOften: true,
})

/** Every deployable of the repository. Only the connector holds a session with TigerBeetle. */
export const findRoles = (): Role[] => [
  ...readdirSync('functions', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => roleIn(name, join('functions', name)))
    .filter(({ entries }) => entries.length > 0),
  { ...roleIn('connector', 'connector'), installed: ['tigerbeetle-node'], startsOften: false },
]
