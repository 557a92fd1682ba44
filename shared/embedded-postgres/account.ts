import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { CannotRunHere } from './errors.ts'

/** The user that PostgreSQL runs as. */
export interface Account {
  name: string
  uid: number
  gid: number
}

const askId = (flag: '-u' | '-g', user: string): number | undefined => {
  const result = spawnSync('id', [flag, user], { encoding: 'utf8' })
  // macOS shows the -2 of `nobody` unsigned, and spawn wants it signed.
  return result.status === 0 ? Number(result.stdout.trim()) | 0 : undefined
}

function findAccount(name: string): Account | undefined {
  const uid = askId('-u', name)
  const gid = askId('-g', name)
  return uid === undefined || gid === undefined || uid === 0 ? undefined : { name, uid, gid }
}

/**
 * PostgreSQL refuses to run as root, so root lends it another user: the owner of existing data, else `postgres`, else
 * `nobody`. No user is ever created. `undefined` for an ordinary user: no switch.
 */
export function serverAccount(dataFolder: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = statSync(dataFolder, { throwIfNoEntry: false })
  if (owner && owner.uid !== 0) return { name: `#${owner.uid}`, uid: owner.uid, gid: owner.gid }
  const account = findAccount('postgres') ?? findAccount('nobody')
  if (!account)
    throw new CannotRunHere(
      'PostgreSQL does not run as root, and there is neither a user postgres nor nobody: start as an ordinary user',
    )
  return account
}

/** Whether the account can enter this folder or run this file; asked of the system, because modes alone do not tell. */
export function canReach(account: Account, path: string): boolean {
  const result = spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', path], {
    uid: account.uid,
    gid: account.gid,
    cwd: '/',
  })
  return result.status === 0
}
