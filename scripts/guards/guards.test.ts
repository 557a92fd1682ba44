import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { readTap } from './run-test.ts'
import { withTables } from './table.ts'
import { threatTables } from './threats/index.ts'
import { withoutGuard } from './work-copy.ts'

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const guards = threatTables.flatMap(({ threats }) => threats.flatMap((threat) => threat.guards))

test('every guard stands where the list says, once, and its removal changes something', () => {
  for (const guard of guards)
    assert.notEqual(withoutGuard(read(guard.file), guard), read(guard.file), guard.name)
})

/** Of a suite that runs on several adapters the names stand in its `contract.ts`. */
function testsOf(file: string): string {
  const text = read(file)
  const [, contract] = /from '(\.{1,2}\/contract\.ts)'/.exec(text) ?? []
  return contract === undefined ? text : text + read(join(dirname(file), contract))
}

test('every test that is named exists', () => {
  for (const { name, test: named } of guards)
    assert.ok(testsOf(named.file).includes(named.name), `${name}: ${named.name}`)
})

test('no guard is listed twice under one name, and no threat is without one', () => {
  const names = guards.map(({ name, file }) => `${file}: ${name}`)
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  )
  for (const { threats } of threatTables)
    for (const threat of threats) assert.ok(threat.guards.length > 0, threat.name)
})

test('the page about them says the same', () => {
  const page = read('docs/security-tests.md')
  assert.equal(page, withTables(page, threatTables), 'run node scripts/guards/write-table.ts')
})

test('a guard that is not there, or there twice, is an error', () => {
  const guard = {
    name: 'x',
    file: 'x.ts',
    text: 'check()',
    without: '',
    test: { file: 'x.test.ts', name: 'x' },
  }
  assert.equal(withoutGuard('a(); check(); b()', guard), 'a(); ; b()')
  for (const source of ['', 'check(); check()'])
    assert.throws(() => withoutGuard(source, guard), /stands \d times/)
})

test('what a run printed is read as it was', () => {
  const output = [
    'TAP version 13',
    '# Subtest: suite',
    '    ok 1 - passes \\# well',
    '    not ok 2 - fails \\# badly',
    'not ok 1 - suite',
    'ok 2 - left out # SKIP',
    '1..2',
  ].join('\n')
  assert.deepEqual(readTap(output, 'x.test.ts'), {
    passed: 1,
    failed: ['fails # badly', 'suite'],
    isBroken: false,
  })
  assert.equal(readTap('not ok 1 - /somewhere/x.test.ts', 'x.test.ts').isBroken, true)
  // What is checked after the tests fails too.
  assert.deepEqual(readTap('not ok 1 - fails\nnot ok 2 - /somewhere/x.test.ts', 'x.test.ts'), {
    passed: 0,
    failed: ['fails'],
    isBroken: false,
  })
})
