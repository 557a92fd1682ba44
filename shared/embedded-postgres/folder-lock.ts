import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FolderInUse } from './errors.ts'
import { poll, processIdentity } from './processes.ts'

export interface FolderLock {
  release(): void
}

interface Owner {
  pid: number
  identity: string
}

const LOCK_FILE = 'upesi.lock'

const readOwner = (path: string): Owner | undefined => {
  try {
    const { pid, identity } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Owner>
    return typeof pid === 'number' && typeof identity === 'string' ? { pid, identity } : undefined
  } catch {
    return undefined
  }
}

const isHeld = (owner: Owner | undefined): owner is Owner =>
  owner !== undefined && processIdentity(owner.pid) === owner.identity

/** Linking a complete file into place succeeds for one process only, and no reader sees it half written. */
function tryTake(folder: string): boolean {
  const lock = join(folder, LOCK_FILE)
  const draft = `${lock}.${process.pid}.${randomBytes(4).toString('hex')}`
  const owner: Owner = { pid: process.pid, identity: processIdentity(process.pid) ?? '' }
  writeFileSync(draft, JSON.stringify(owner))
  try {
    linkSync(draft, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Takes away the lock of a process that is gone. Someone else may have done so a moment ago: a live lock is put back. */
function removeAbandoned(folder: string): void {
  const lock = join(folder, LOCK_FILE)
  const aside = `${lock}.aside.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    renameSync(lock, aside)
    if (isHeld(readOwner(aside))) linkSync(aside, lock)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

/**
 * One process at a time owns a folder. A lock whose process is gone does not count. Throws {@link FolderInUse} when the
 * owner still lives after `waitMs`.
 */
export async function lockFolder(folder: string, waitMs: number): Promise<FolderLock> {
  const lock = join(folder, LOCK_FILE)
  const taken = await poll(
    () => {
      if (tryTake(folder)) return true
      if (isHeld(readOwner(lock))) return undefined
      removeAbandoned(folder)
      return tryTake(folder) || undefined
    },
    { timeoutMs: waitMs, everyMs: 20 },
  )
  if (!taken) throw new FolderInUse(folder, readOwner(lock)?.pid ?? 0)
  return { release: () => rmSync(lock, { force: true }) }
}
