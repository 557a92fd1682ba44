import assert from 'node:assert/strict'
import test from 'node:test'
import { AccessRefusal } from './errors.ts'
import { decideGrant, tokenOf } from './grant.ts'
import type { GrantedAccess, Introspection, RequestedAccess } from './introspection.ts'

const tenantId = '0190c0de-0000-7000-8000-00000000000a'
const identifier = 'https://bank.example/alice'
const refused = (code: string) => (error: unknown) => error instanceof AccessRefusal && error.code === code

const wanted = (action: RequestedAccess['action'], type: RequestedAccess['type'] = 'incoming-payment') => ({
  type,
  action,
  identifier,
  tenantId,
})
const token = (access: GrantedAccess[], ofTenant = tenantId): Introspection => ({
  active: true,
  grantId: 'grant',
  tenantId: ofTenant,
  access,
  client: { walletAddress: 'https://client.example/' },
})
const item = (actions: string[], more: Partial<GrantedAccess> = {}): GrantedAccess => ({
  type: 'incoming-payment',
  actions,
  ...more,
})

test('the token stands alone behind its scheme', () => {
  assert.equal(tokenOf('GNAP abc'), 'abc')
  for (const header of [undefined, '', 'GNAP', 'GNAP ', 'gnap abc', 'Bearer abc', 'GNAP a b', 'GNAP  abc'])
    assert.throws(() => tokenOf(header), refused('invalid_authorization'), String(header))
})

test('an inactive token opens nothing', () => {
  assert.throws(() => decideGrant({ active: false }, wanted('read')), refused('inactive_token'))
})

test('a token of another tenant opens nothing, whatever it grants', () => {
  const foreign = token([item(['read-all'])], '0190c0de-0000-7000-8000-00000000000b')
  assert.throws(() => decideGrant(foreign, wanted('read')), refused('insufficient_grant'))
})

test('what the authorization server matched is matched again', () => {
  const cases: [string, GrantedAccess[]][] = [
    ['nothing', []],
    ['another action', [item(['create'])]],
    ['another type', [item(['read'], { type: 'quote' })]],
    ['another wallet address', [item(['read'], { identifier: 'https://bank.example/bob' })]],
    ['a longer wallet address', [item(['read'], { identifier: `${identifier}/` })]],
    ['an action that only begins alike', [item(['read-al'])]],
  ]
  for (const [name, access] of cases)
    assert.throws(() => decideGrant(token(access), wanted('read')), refused('insufficient_grant'), name)
})

test('of several items that cover the request the widest counts', () => {
  const decide = (...items: GrantedAccess[]) => decideGrant(token(items), wanted('read'))
  assert.equal(decide(item(['create']), item(['read'])).seesAll, false)
  assert.equal(decide(item(['read']), item(['read-all', 'create'])).seesAll, true)
  assert.equal(decide(item(['read']), item(['read-all'], { identifier: 'https://x.example' })).seesAll, false)
})

test('paying needs a grant that names the wallet address', () => {
  for (const action of ['create', 'read', 'list'] as const)
    assert.throws(
      () =>
        decideGrant(
          token([{ type: 'outgoing-payment', actions: [action] }]),
          wanted(action, 'outgoing-payment'),
        ),
      refused('insufficient_grant'),
    )
})

test('limits are never lost beside an item that has none', () => {
  const limits = { debitAmount: { value: '1', assetCode: 'USD', assetScale: 2 } }
  const pay = (more: Partial<GrantedAccess> = {}) => ({
    type: 'outgoing-payment',
    actions: ['create'],
    identifier,
    ...more,
  })
  const decide = (...items: GrantedAccess[]) =>
    decideGrant(token(items), wanted('create', 'outgoing-payment'))
  assert.equal('limits' in decide(pay()), false)
  assert.deepEqual(decide(pay(), pay({ limits })).limits, limits)
  assert.deepEqual(decide(pay({ limits }), pay()).limits, limits)
  assert.deepEqual(decide(pay({ limits: {} })).limits, {})
  assert.throws(() => decide(pay({ limits }), pay({ limits: {} })), refused('unexpected_access'))
})

test('-all widens reading and listing, and nothing else', () => {
  assert.equal(decideGrant(token([item(['read'])]), wanted('read')).seesAll, false)
  assert.equal(decideGrant(token([item(['read-all'])]), wanted('read')).seesAll, true)
  assert.equal(decideGrant(token([item(['list', 'list-all'])]), wanted('list')).seesAll, true)
  assert.equal(decideGrant(token([item(['read-all', 'create'])]), wanted('create')).seesAll, false)
  for (const [granted, action] of [
    ['create-all', 'create'],
    ['complete-all', 'complete'],
    ['read-all', 'list'],
    ['list-all', 'read'],
  ] as const)
    assert.throws(
      () => decideGrant(token([item([granted])]), wanted(action)),
      refused('insufficient_grant'),
      granted,
    )
})
