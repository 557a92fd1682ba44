import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)))
/** Where `npm start` keeps its PostgreSQL and the banks' secrets between runs, unless it is told another place. */
const DATA_FOLDER = join(projectFolder, '.data')

const dataOption = { data: { type: 'string', default: DATA_FOLDER } } as const

export interface StartOptions {
  /** Pay, audit, exit. */
  once: boolean
  dataFolder: string
}

/** Reads the arguments of `npm start`; throws on one it does not know. */
export function parseStartOptions(args: readonly string[]): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { ...dataOption, once: { type: 'boolean', default: false } },
  })
  return { once: values.once, dataFolder: resolve(values.data) }
}

export interface AuditOptions {
  dataFolder: string
  /** `name=postgresql://…` or `name=file`; empty: the two banks of `npm start`. */
  databases: string[]
  /** The node of the environment instead. */
  node: boolean
}

/** Reads the arguments of `npm run audit`; throws on one it does not know. */
export function parseAuditOptions(args: readonly string[]): AuditOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...dataOption, node: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  if (values.node && positionals.length > 0) throw new Error('--node and named nodes exclude each other')
  return { dataFolder: resolve(values.data), databases: positionals, node: values.node }
}

/** What to add to a command so that it looks where this `npm start` keeps its data. */
export const dataArgument = (dataFolder: string): string =>
  dataFolder === DATA_FOLDER ? '' : ` -- --data ${dataFolder}`
