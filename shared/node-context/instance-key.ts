import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { jwkOf } from '../http-signatures/index.ts'
import { ConfigError, type Db, type Logger, messageOf, type SecretBox, sql } from '../platform/index.ts'
import type { InstanceKey } from './model.ts'

const place = (keyId: string) => `instance-key:${keyId}`

async function readKeyFile(file: string): Promise<KeyObject> {
  const refuse = (problem: string) => new ConfigError([`PRIVATE_KEY_FILE ${problem} (${file})`])
  let key: KeyObject
  try {
    key = createPrivateKey(await readFile(file))
  } catch (error) {
    throw refuse(`cannot be read as a private key: ${messageOf(error)}`)
  }
  if (key.asymmetricKeyType !== 'ed25519') throw refuse('must be an Ed25519 key')
  return key
}

/** The stored key, made first where there is none. Of processes that start at once, one inserts and all read what it inserted. */
async function storedKey(
  ctx: { db: Db; secretBox: SecretBox; log: Logger },
  keyId: string,
): Promise<KeyObject> {
  const find = () =>
    ctx.db.maybe(
      (row) => row.private_key_sealed as string,
      sql`select private_key_sealed from instance_keys where kid = ${keyId}`,
    )
  let sealed = await find()
  if (sealed === undefined) {
    const { privateKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const made = await ctx.db.execute(
      sql`insert into instance_keys (kid, private_key_sealed) values (${keyId}, ${ctx.secretBox.seal(pem, place(keyId))})
        on conflict (kid) do nothing`,
    )
    if (made === 1)
      ctx.log.warn(
        { keyId },
        'PRIVATE_KEY_FILE is not set: a signing key was generated and is kept encrypted in the database',
      )
    sealed = await find()
  }
  if (sealed === undefined) throw new Error('the signing key was not stored')
  return createPrivateKey(ctx.secretBox.open(sealed, place(keyId)))
}

/** The key of PRIVATE_KEY_FILE, or the one kept in the database. Throws {@link ConfigError} when the file is set and unusable. */
export async function loadInstanceKey(
  ctx: { db: Db; secretBox: SecretBox; log: Logger },
  options: { keyId: string; privateKeyFile?: string | undefined },
): Promise<InstanceKey> {
  const { keyId, privateKeyFile } = options
  const privateKey =
    privateKeyFile === undefined ? await storedKey(ctx, keyId) : await readKeyFile(privateKeyFile)
  return { privateKey, keyId, jwk: jwkOf(privateKey, keyId) }
}
