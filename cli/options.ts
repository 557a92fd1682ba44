import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)))
/** Where `npm start` keeps its PostgreSQL and the banks' secrets between runs. */
export const dataFolder = join(projectFolder, '.data')

export interface StartOptions {
  /** Pay, audit, exit. */
  once: boolean
}

/** Reads the arguments of `npm start`; throws on one it does not know. */
export function parseStartOptions(args: readonly string[]): StartOptions {
  const options: StartOptions = { once: false }
  for (const arg of args) {
    if (arg === '--once') options.once = true
    else throw new Error(`unknown argument ${arg}; known: --once`)
  }
  return options
}
