import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Jwk, jwkOf } from '../http-signatures/index.ts'
import {
  type Clock,
  ConfigError,
  type Db,
  type Listener,
  type Logger,
  messageOf,
  type Row,
  type SealedColumn,
  type SecretBox,
  sql,
} from '../platform/index.ts'
import type { InstanceKey, InstanceKeys } from './model.ts'

type Context = { db: Db; secretBox: SecretBox; clock: Clock; listener: Listener; log: Logger }

export interface InstanceKeyOptions {
  keyId: string
  privateKeyFile?: string | undefined
  /** The key before, where it is in a file: signs until everybody knows the new one. */
  previousKeyId?: string | undefined
  previousPrivateKeyFile?: string | undefined
  /** How long a new key is published before it signs, and an old one after it signed. */
  overlapSeconds: number
}

const CHANNEL = 'upesi_instance_keys'
const place = (keyId: string) => `instance-key:${keyId}`

export const sealedInstanceKeyColumns: readonly SealedColumn[] = [
  {
    table: 'instance_keys',
    column: 'private_key_sealed',
    key: 'kid',
    keyType: 'text',
    place: (row) => place(row.kid),
  },
]

async function readKeyFile(name: string, file: string): Promise<KeyObject> {
  const refuse = (problem: string) => new ConfigError([`${name} ${problem} (${file})`])
  let key: KeyObject
  try {
    key = createPrivateKey(await readFile(file))
  } catch (error) {
    throw refuse(`cannot be read as a private key: ${messageOf(error)}`)
  }
  if (key.asymmetricKeyType !== 'ed25519') throw refuse('must be an Ed25519 key')
  return key
}

interface StoredKey {
  kid: string
  sealed: string | null
  jwk: Jwk | null
  activeFrom: Date
  publishedUntil: Date | null
}

const toStoredKey = (row: Row): StoredKey => ({
  kid: row.kid,
  sealed: row.private_key_sealed,
  jwk: row.public_jwk,
  activeFrom: row.active_from,
  publishedUntil: row.published_until,
})

const selectKeys = (db: Db): Promise<StoredKey[]> =>
  db.many(
    toStoredKey,
    sql`select kid, private_key_sealed, public_jwk, active_from, published_until from instance_keys
      order by active_from desc, created_at desc, kid`,
  )

/** A row as this process can use it: with the private key, or only to publish it. */
interface KnownKey {
  keyId: string
  /** Whether this process can sign with it. */
  isOwn: boolean
  /** Read when it is first asked for: most processes start for an answer that nobody signs. */
  read(): { jwk: Jwk; privateKey?: KeyObject }
  activeFromMs: number
  publishedUntilMs: number
}

type OwnKeys = ReadonlyMap<string, KeyObject>

function toKnownKey(secretBox: SecretBox, keysOfFiles: OwnKeys, row: StoredKey): KnownKey | undefined {
  const sealed = row.sealed ?? undefined
  const own =
    keysOfFiles.get(row.kid) ?? (sealed === undefined ? undefined : secretBox.open(sealed, place(row.kid)))
  const common = {
    keyId: row.kid,
    activeFromMs: row.activeFrom.getTime(),
    publishedUntilMs: row.publishedUntil?.getTime() ?? Number.POSITIVE_INFINITY,
  }
  if (own === undefined) {
    const { jwk } = row
    return jwk ? { ...common, isOwn: false, read: () => ({ jwk }) } : undefined
  }
  const parse = () => {
    const privateKey = typeof own === 'string' ? createPrivateKey(own) : own
    return { privateKey, jwk: jwkOf(privateKey, row.kid) }
  }
  let parsed: ReturnType<typeof parse> | undefined
  const read = () => {
    parsed ??= parse()
    return parsed
  }
  return { ...common, isOwn: true, read }
}

interface NewKey {
  kid: string
  privateKey: KeyObject
  isInFile: boolean
}

/** Puts the key in line: at once where it is the only one that can sign, else when others have heard of it. */
async function insertKey(
  db: Db,
  ctx: Context,
  key: NewKey,
  overlapMs: number,
  waits: boolean,
): Promise<Date> {
  const activeFrom = new Date(ctx.clock.nowMs() + (waits ? overlapMs : 0))
  const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const sealed = key.isInFile ? null : ctx.secretBox.seal(pem, place(key.kid))
  await db.execute(sql`
    update instance_keys set published_until = ${new Date(activeFrom.getTime() + overlapMs)} where published_until is null`)
  await db.execute(sql`
    insert into instance_keys (kid, private_key_sealed, public_jwk, active_from, created_at)
    values (${key.kid}, ${sealed}, ${JSON.stringify(jwkOf(key.privateKey, key.kid))}, ${activeFrom}, ${ctx.clock.now()})`)
  await db.execute(sql`select pg_notify(${CHANNEL}, ${key.kid})`)
  return activeFrom
}

/** Another key in the file under the name of the one before: nobody can tell them apart, so there is no overlap. */
async function replaceKey(db: Db, ctx: Context, key: NewKey): Promise<void> {
  ctx.log.warn(
    { keyId: key.kid },
    'PRIVATE_KEY_FILE is another key and KEY_ID is the same: others refuse its signatures until they forget the key before; give each key its own KEY_ID',
  )
  await db.execute(sql`
    update instance_keys set private_key_sealed = null, public_jwk = ${JSON.stringify(jwkOf(key.privateKey, key.kid))},
      active_from = ${ctx.clock.now()}, published_until = null where kid = ${key.kid}`)
  await db.execute(sql`select pg_notify(${CHANNEL}, ${key.kid})`)
}

/** Whether the key that the environment names is there, as it is. */
function isInLine(ctx: Context, kid: string, own: OwnKeys, row: StoredKey | undefined): boolean {
  if (!row) return false
  const fromFile = own.get(kid)
  if (!fromFile && row.sealed === null)
    throw new ConfigError([
      `KEY_ID=${kid} was the key of a file, and PRIVATE_KEY_FILE is not set: set it, or give the node another KEY_ID`,
    ])
  return !fromFile || toKnownKey(ctx.secretBox, new Map(), row)?.read().jwk.x === jwkOf(fromFile, kid).x
}

const rowOf = (rows: readonly StoredKey[], kid: string) => rows.find((candidate) => candidate.kid === kid)

/** Makes the key that the environment names exist. Of processes that start at once, one makes it and all take it. */
async function ensureKey(ctx: Context, options: InstanceKeyOptions, own: OwnKeys): Promise<void> {
  const { keyId: kid } = options
  const overlapMs = options.overlapSeconds * 1000
  await ctx.db.tx(async (db) => {
    await db.execute(sql`select pg_advisory_xact_lock(hashtext('upesi-instance-keys'))`)
    const rows = await selectKeys(db)
    const fromFile = own.get(kid)
    const row = rowOf(rows, kid)
    if (isInLine(ctx, kid, own, row)) return
    if (row && fromFile) return await replaceKey(db, ctx, { kid, privateKey: fromFile, isInFile: true })
    const nowMs = ctx.clock.nowMs()
    const isUsable = (key: KnownKey | undefined) => key?.isOwn === true && key.publishedUntilMs > nowMs
    const waits = rows.some((candidate) => isUsable(toKnownKey(ctx.secretBox, own, candidate)))
    const privateKey = fromFile ?? generateKeyPairSync('ed25519').privateKey
    const activeFrom = await insertKey(db, ctx, { kid, privateKey, isInFile: !!fromFile }, overlapMs, waits)
    if (!fromFile)
      ctx.log.warn(
        { keyId: kid },
        'PRIVATE_KEY_FILE is not set: a signing key was generated and is kept encrypted in the database',
      )
    if (rows.length > 0)
      ctx.log.info(
        { keyId: kid, activeFrom },
        'a new signing key is published and takes over when others know it',
      )
  })
}

/** The newest that may sign and that this process has. */
const signingKeyOf = (keys: readonly KnownKey[], nowMs: number): KnownKey | undefined =>
  keys.find((key) => key.isOwn && key.activeFromMs <= nowMs && key.publishedUntilMs > nowMs)

/** A process that was not told of the newest key's file goes on with its own for as long as that is published. */
function warnOfForeignKeys(log: Logger, keys: readonly KnownKey[]): void {
  const [newest] = keys
  if (newest && !newest.isOwn)
    log.warn(
      { keyId: newest.keyId },
      'the newest signing key is in a file that this process was not given: restart it with PRIVATE_KEY_FILE and KEY_ID of that key before the old one ends',
    )
}

/**
 * The node's signing keys, which all its processes share. A new KEY_ID makes a new key, which is published at once, signs after the
 * overlap, in all processes at the same moment, and is followed by the end of the one before after another overlap. Throws
 * {@link ConfigError} when a key file is set and unusable.
 */
export async function openInstanceKeys(ctx: Context, options: InstanceKeyOptions): Promise<InstanceKeys> {
  const own = new Map<string, KeyObject>()
  const { keyId, privateKeyFile, previousKeyId, previousPrivateKeyFile } = options
  if (privateKeyFile !== undefined) own.set(keyId, await readKeyFile('PRIVATE_KEY_FILE', privateKeyFile))
  if (previousKeyId !== undefined && previousPrivateKeyFile !== undefined)
    own.set(previousKeyId, await readKeyFile('PRIVATE_KEY_FILE_PREVIOUS', previousPrivateKeyFile))
  const toKnownKeys = (rows: readonly StoredKey[]): KnownKey[] =>
    rows.flatMap((row) => toKnownKey(ctx.secretBox, own, row) ?? [])
  const read = async () => toKnownKeys(await selectKeys(ctx.db))
  // Nearly every start finds the key there, and takes no lock.
  const rows = await selectKeys(ctx.db)
  const isThere = isInLine(ctx, keyId, own, rowOf(rows, keyId))
  if (!isThere) await ensureKey(ctx, options, own)
  let keys = isThere ? toKnownKeys(rows) : await read()
  warnOfForeignKeys(ctx.log, keys)
  ctx.listener.listen(CHANNEL, (payload) =>
    read().then(
      (read) => {
        keys = read
        if (payload !== undefined) warnOfForeignKeys(ctx.log, keys)
      },
      (error: unknown) =>
        ctx.log.error({ reason: messageOf(error) }, 'signing keys cannot be read; using the last'),
    ),
  )
  return {
    current(): InstanceKey {
      const key = signingKeyOf(keys, ctx.clock.nowMs()) ?? keys.find((known) => known.isOwn)
      const { privateKey, jwk } = key?.read() ?? {}
      if (!key || !privateKey || !jwk) throw new Error('the node has no signing key')
      return { privateKey, keyId: key.keyId, jwk }
    },
    published: () =>
      keys.filter((key) => key.publishedUntilMs > ctx.clock.nowMs()).map((key) => key.read().jwk),
  }
}
