import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectorRpcSecret, connectorRpcSecrets } from './secret.ts'

test('while ADMIN_API_SECRET changes, what either gives is accepted', () => {
  const old = connectorRpcSecret({ adminApiSecret: 'old' })
  const next = connectorRpcSecret({ adminApiSecret: 'next' })
  assert.deepEqual(connectorRpcSecrets({ adminApiSecret: 'next', adminApiPreviousSecret: 'old' }), [
    next,
    old,
  ])
  assert.deepEqual(connectorRpcSecrets({ adminApiSecret: 'old', adminApiPreviousSecret: 'next' }), [
    old,
    next,
  ])
  assert.deepEqual(connectorRpcSecrets({ adminApiSecret: 'next' }), [next])
})

test("with a secret of its own the operator's counts no more", () => {
  const admin = { adminApiSecret: 'a', adminApiPreviousSecret: 'b' }
  assert.deepEqual(connectorRpcSecrets({ ...admin, connectorRpcSecret: 'own' }), ['own'])
  assert.deepEqual(
    connectorRpcSecrets({ ...admin, connectorRpcSecret: 'own', connectorRpcPreviousSecret: 'was' }),
    ['own', 'was'],
  )
})
