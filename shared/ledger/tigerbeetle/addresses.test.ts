import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReplicaAddresses, resolveReplicas } from './addresses.ts'

test('replicas are ports, host:port or [IPv6]:port', () => {
  assert.deepEqual(parseReplicaAddresses('3004'), [{ host: '127.0.0.1', port: 3004 }])
  assert.deepEqual(parseReplicaAddresses('10.0.0.1:3000, tigerbeetle-1.ledger:3001,[::1]:3002'), [
    { host: '10.0.0.1', port: 3000 },
    { host: 'tigerbeetle-1.ledger', port: 3001 },
    { host: '::1', port: 3002 },
  ])
  for (const wrong of [
    '',
    '0',
    '70000',
    'host',
    'host:',
    ':3000',
    '::1:3000',
    '[host]:3000',
    '1,,2',
    'a b:1',
  ])
    assert.throws(() => parseReplicaAddresses(wrong), Error, wrong)
  assert.throws(() => parseReplicaAddresses('1,2,3,4,5,6,7'), /at most 6 replicas/)
})

test('names become numbers, which is all that the client takes', async () => {
  assert.deepEqual(await resolveReplicas(parseReplicaAddresses('localhost:3000,10.0.0.1:3001,[::1]:3002')), [
    '127.0.0.1:3000',
    '10.0.0.1:3001',
    '[::1]:3002',
  ])
  await assert.rejects(resolveReplicas([{ host: 'replica.invalid', port: 1 }]))
})
