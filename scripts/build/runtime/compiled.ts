import { basename, join } from 'node:path'

/**
 * Where V8's code of a role's scripts lies. It is of one version of V8 and one architecture: another Node finds no such folder and
 * compiles for itself.
 */
export const compiledFolder = (role: string): string =>
  join(role, 'compiled', `${process.versions.v8}-${process.arch}`)

export const compiledFile = (role: string, script: string): string =>
  join(compiledFolder(role), `${basename(script, '.js')}.code`)
