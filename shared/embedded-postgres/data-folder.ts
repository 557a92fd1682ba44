import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Fault } from '../platform/index.ts'
import { type Account, canReach } from './account.ts'
import type { Binaries } from './binaries.ts'
import { CannotRunHere } from './errors.ts'

export const USER = 'upesi'

/** For data that cannot be where it was asked for. */
const HOMES = '/var/lib/upesi'

/** A socket's path holds 107 bytes on Linux and 103 on macOS, so a long temp folder is passed over. */
const TEMP_PATH_LENGTH_MAX = 60

/** Clean, because PGOPTIONS and its relatives would reach the server; without LC_ALL macOS starts threads too early. */
export const serverEnvironment = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' }

export const asAccount = (account: Account | undefined) =>
  account ? { uid: account.uid, gid: account.gid } : {}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

/**
 * Where the data lives: `folder` itself, unless the server runs as another user who cannot get there (a clone below a private
 * home folder, started by root). Then a system folder named after `folder` and its password, so that the same data is found
 * again, and none of a folder that was deleted or copied: what nobody has the password to any more is removed.
 */
export function chooseHome(input: {
  folder: string
  account: Account | undefined
  password: string
}): string {
  const { folder, account } = input
  if (!account || canReach(account, folder)) return folder
  const [ours, key] = [hash(realpathSync(folder)), hash(input.password)]
  const home = join(HOMES, `${ours}-${key}`)
  if (!existsSync(home)) {
    mkdirSync(home, { recursive: true, mode: 0o755 })
    for (const name of readdirSync(HOMES))
      if (name.startsWith(`${ours}-`) && name !== basename(home))
        rmSync(join(HOMES, name), { recursive: true, force: true })
  }
  if (canReach(account, home)) return home
  throw new CannotRunHere(`user ${account.name} can reach neither ${folder} nor ${home}`)
}

/** A new private folder for the account, with a name that nobody can occupy beforehand, short enough to hold a socket. */
export function makePrivateFolder(prefix: string, account: Account | undefined): string {
  const folder = mkdtempSync(join(isUsable(tmpdir(), account) ? tmpdir() : '/tmp', prefix))
  if (account) chownSync(folder, account.uid, account.gid)
  return folder
}

function isUsable(folder: string, account: Account | undefined): boolean {
  if (folder.length > TEMP_PATH_LENGTH_MAX) return false
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch {
    return false
  }
  return !account || canReach(account, folder)
}

/** The password of the database superuser: made once, readable by the folder's owner only. */
export function readOrMakePassword(folder: string): string {
  const path = join(folder, 'password')
  if (!existsSync(path)) writeFileSync(path, randomBytes(24).toString('hex'), { mode: 0o600, flag: 'wx' })
  return readFileSync(path, 'utf8').trim()
}

/** Creates the cluster unless it is there. It is made beside its place and moved, so that an interrupted start leaves no half. */
export function initialiseData(input: {
  binaries: Binaries
  data: string
  password: string
  account: Account | undefined
  durable: boolean
}): void {
  const { data, account, binaries } = input
  if (existsSync(data)) {
    checkData(data, binaries, account)
    return
  }
  removeDrafts(data)
  const draft = `${data}.${process.pid}.draft`
  mkdirSync(draft, { mode: 0o700 })
  const secrets = makePrivateFolder('upesi-init-', account)
  const passwordFile = join(secrets, 'password')
  writeFileSync(passwordFile, input.password, { mode: 0o600 })
  if (account) for (const path of [draft, passwordFile]) chownSync(path, account.uid, account.gid)
  const result = spawnSync(
    binaries.initdb,
    [
      `--pgdata=${draft}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--no-instructions',
      // The password is random and long: stretching it protects nothing and costs every connection time.
      '--set=scram_iterations=1',
      ...(input.durable ? [] : ['--no-sync']),
    ],
    { encoding: 'utf8', cwd: '/', env: serverEnvironment, ...asAccount(account) },
  )
  rmSync(secrets, { recursive: true, force: true })
  if (result.status !== 0) {
    rmSync(draft, { recursive: true, force: true })
    const output = `${result.error?.message ?? ''} ${result.stderr ?? ''}`.trim()
    throw new Fault('embedded_postgres_failed', { retryable: false, message: `initdb failed: ${output}` })
  }
  renameSync(draft, data)
}

function removeDrafts(data: string): void {
  const folder = join(data, '..')
  for (const name of readdirSync(folder))
    if (/^data\.\d+\.draft$/.test(name)) rmSync(join(folder, name), { recursive: true, force: true })
}

function checkData(data: string, binaries: Binaries, account: Account | undefined): void {
  const owner = statSync(data).uid
  if (!account && owner !== process.getuid?.())
    throw new CannotRunHere(`${data} belongs to another user (${owner}); start as that user or as root`)
  // A folder copied or restored by hand often comes back too open, and PostgreSQL refuses that.
  chmodSync(data, 0o700)
  const has = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  const result = spawnSync(binaries.postgres, ['--version'], { encoding: 'utf8', cwd: '/' })
  const runs = /\d+/.exec(result.stdout ?? '')?.[0]
  if (runs !== undefined && runs !== has)
    throw new CannotRunHere(
      `${data} was made by PostgreSQL ${has}, and this is ${runs}: move it away to begin anew`,
    )
}
