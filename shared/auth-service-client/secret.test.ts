import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authServiceSecret, authServiceSecrets } from './secret.ts'

test('while ADMIN_API_SECRET changes, what either gives is accepted', () => {
  const old = authServiceSecret({ adminApiSecret: 'old' })
  const next = authServiceSecret({ adminApiSecret: 'next' })
  assert.deepEqual(authServiceSecrets({ adminApiSecret: 'next', adminApiPreviousSecret: 'old' }), [next, old])
  assert.deepEqual(authServiceSecrets({ adminApiSecret: 'old', adminApiPreviousSecret: 'next' }), [old, next])
  assert.deepEqual(authServiceSecrets({ adminApiSecret: 'next' }), [next])
})

test("with a secret of its own the operator's counts no more", () => {
  const admin = { adminApiSecret: 'a', adminApiPreviousSecret: 'b' }
  assert.deepEqual(authServiceSecrets({ ...admin, authServiceApiSecret: 'own' }), ['own'])
  assert.deepEqual(
    authServiceSecrets({ ...admin, authServiceApiSecret: 'own', authServiceApiPreviousSecret: 'was' }),
    ['own', 'was'],
  )
})
