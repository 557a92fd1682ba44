import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
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
import { join } from 'node:path'
import { Fault } from '../platform/index.ts'
import { type Account, canReach } from './account.ts'
import type { Binaries } from './binaries.ts'
import { CannotRunHere } from './errors.ts'

export const USER = 'upesi'

/** A socket's path holds 107 bytes on Linux and 103 on macOS, so a long temp folder is passed over. */
const TEMP_PATH_LENGTH_MAX = 60

/** Clean, because PGOPTIONS and its relatives would reach the server; without LC_ALL macOS starts threads too early. */
export const serverEnvironment = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' }

export const asAccount = (account: Account | undefined) =>
  account ? { uid: account.uid, gid: account.gid } : {}

/**
 * Where the data lives: `folder` itself, unless the server runs as another user who cannot get there (a clone below a private
 * home folder, started by root). Then a system folder that is named after `folder`, so that the same data is found again.
 */
export function chooseHome(folder: string, account: Account | undefined): string {
  if (!account || canReach(account, folder)) return folder
  const key = createHash('sha256').update(realpathSync(folder)).digest('hex').slice(0, 16)
  const home = join('/var/lib/upesi', key)
  mkdirSync(home, { recursive: true, mode: 0o755 })
  if (canReach(account, home)) return home
  throw new CannotRunHere(`user ${account.name} can reach neither ${folder} nor ${home}`)
}

/** A new private folder for the socket, with a name that nobody can occupy beforehand. */
export function makeSocketFolder(account: Account | undefined): string {
  const usable = tmpdir().length <= TEMP_PATH_LENGTH_MAX && (!account || canReach(account, tmpdir()))
  const folder = mkdtempSync(join(usable ? tmpdir() : '/tmp', 'upesi-pg-'))
  if (account) chownSync(folder, account.uid, account.gid)
  return folder
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
  const secrets = mkdtempSync(join(tmpdir(), 'upesi-init-'))
  const passwordFile = join(account ? makeReadable(secrets, account) : secrets, 'password')
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

function makeReadable(folder: string, account: Account): string {
  chownSync(folder, account.uid, account.gid)
  return folder
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
