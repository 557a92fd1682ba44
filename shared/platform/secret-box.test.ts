import assert from 'node:assert/strict'
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createConfiguredSecretBox, createSecretBox } from './secret-box.ts'

const unreadable = { code: 'secret_unreadable', retryable: false }

/** As releases sealed that knew one key only, written from the format and not from the code. */
function sealedBefore(secret: string, plaintext: string, context: string): string {
  const key = Buffer.from(hkdfSync('sha256', secret, 'upesi', 'secret-box', 32))
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return `v1.${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')}`
}

describe('a box of several keys', () => {
  const before = createSecretBox('old')
  const during = createSecretBox('new', ['old', 'older'])
  const after = createSecretBox('new')
  test('opens what each sealed, and seals with the first', () => {
    assert.equal(during.open(before.seal('x', 'here'), 'here'), 'x')
    const sealed = during.seal('x', 'here')
    assert.ok(sealed.startsWith(during.currentPrefix))
    assert.equal(after.open(sealed, 'here'), 'x')
    assert.throws(() => before.open(sealed, 'here'), {
      ...unreadable,
      message: new RegExp(`sealed with the key ${after.keyId}, which is not given`),
    })
    assert.throws(() => after.open(before.seal('x', 'here'), 'here'), unreadable)
  })
  test('opens what older releases sealed, with whichever key it was', () => {
    for (const secret of ['new', 'old', 'older'])
      assert.equal(during.open(sealedBefore(secret, 'kept', 'here'), 'here'), 'kept')
    assert.throws(() => after.open(sealedBefore('old', 'kept', 'here'), 'here'), unreadable)
  })
  test('takes no shorter tag, which could be guessed', () => {
    for (const sealed of [during.seal('', 'here'), sealedBefore('new', '', 'here')]) {
      const [prefix = '', body = ''] = [
        sealed.slice(0, sealed.lastIndexOf('.') + 1),
        sealed.split('.').at(-1),
      ]
      const bytes = Buffer.from(body, 'base64url')
      assert.equal(during.open(sealed, 'here'), '')
      for (const tagBytes of [0, 1, 4, 8, 12, 15])
        assert.throws(
          () => during.open(prefix + bytes.subarray(0, 12 + tagBytes).toString('base64url'), 'here'),
          unreadable,
        )
    }
  })
  test('knows keys by ids that are theirs alone', () => {
    assert.equal(during.keyId, after.keyId)
    assert.deepEqual(during.keyIds, [after.keyId, before.keyId, createSecretBox('older').keyId])
    assert.deepEqual(createSecretBox('new', ['new']).keyIds, [after.keyId])
  })
  test('finds by the fingerprints of all, and writes that of the first', () => {
    const found = during.fingerprints('x', 'of').map((bytes) => bytes.toString('hex'))
    assert.deepEqual(found.slice(0, 2), [
      after.fingerprint('x', 'of').toString('hex'),
      before.fingerprint('x', 'of').toString('hex'),
    ])
    assert.deepEqual(during.fingerprint('x', 'of'), after.fingerprint('x', 'of'))
  })
})

test('a sealed text opens unchanged, in its place, and not as another key’s', () => {
  const box = createSecretBox('a', ['b'])
  const sealed = box.seal('x', 'here')
  const asOthers = sealed.replace(box.keyId, createSecretBox('b').keyId)
  for (const [text, place] of [
    [sealed, 'there'],
    [`${sealed.slice(0, -2)}AA`, 'here'],
    [sealed.slice(0, 30), 'here'],
    [sealed.replace('v2.', 'v1.'), 'here'],
    [asOthers, 'here'],
    ['', 'here'],
    ['plain', 'here'],
  ] as const)
    assert.throws(() => box.open(text, place), unreadable, text)
})

describe('keys of the environment', () => {
  const key = (byte: number) => Buffer.alloc(32, byte)
  const boxOf = (config: Partial<Parameters<typeof createConfiguredSecretBox>[0]>) =>
    createConfiguredSecretBox({
      dbEncryptionSecret: undefined,
      dbEncryptionPreviousSecrets: [],
      adminApiSecret: 'admin',
      adminApiPreviousSecret: undefined,
      ...config,
    })
  const idOf = (secret: string | Buffer) =>
    createSecretBox(typeof secret === 'string' ? secret : secret.toString('base64')).keyId
  for (const [name, config, seals, opens] of [
    ['none but the admin secret', {}, 'admin', []],
    ['the admin secret changes', { adminApiPreviousSecret: 'before' }, 'admin', ['before']],
    ['an encryption secret', { dbEncryptionSecret: key(1) }, key(1), ['admin']],
    [
      'it changes, and the admin secret with it',
      {
        dbEncryptionSecret: key(1),
        dbEncryptionPreviousSecrets: [key(2), key(3)],
        adminApiPreviousSecret: 'before',
      },
      key(1),
      [key(2), key(3), 'admin', 'before'],
    ],
    ['it is only going to be one', { dbEncryptionPreviousSecrets: [key(2)] }, 'admin', [key(2)]],
  ] as const)
    test(name, () => {
      const box = boxOf(config as Parameters<typeof boxOf>[0])
      assert.equal(box.keyId, idOf(seals))
      assert.deepEqual([...box.keyIds].sort(), [seals, ...opens].map(idOf).sort())
    })
})
