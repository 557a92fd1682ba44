import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Company, createCompany } from './company.ts'

/** Lets so many items be under way, and gives what ends each. */
const enter = (company: Company, items: number): (() => Promise<void>)[] =>
  Array.from({ length: items }, () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const over = company.attend(() => promise)
    return () => {
      resolve()
      return over
    }
  })

test('statements wait for as long as some of them take, and no longer than 8 ms, when enough is under way', async () => {
  const company = createCompany()
  const [leave] = enter(company, 3)
  assert.equal(company.pauseMs(), 0, 'nothing is known yet')
  const measured = Array.from({ length: 64 }, () => company.measure(sleep(2)))
  await Promise.all(measured)
  const pauseMs = company.pauseMs()
  assert.ok(pauseMs >= 3 && pauseMs <= 8, `twice at least 2 ms: ${pauseMs}`)
  await Promise.all(Array.from({ length: 64 }, () => company.measure(sleep(15))))
  assert.equal(company.pauseMs(), 8)
  await leave?.()
  assert.equal(company.pauseMs(), 0, 'two go alone')
  enter(company, 1)
  assert.equal(company.pauseMs(), 8)
})

test('where statements are quick nobody waits, and failed ones are measured too', async () => {
  const company = createCompany()
  enter(company, 100)
  for (let statement = 0; statement < 100; statement++) await company.measure(Promise.resolve())
  assert.equal(company.pauseMs(), 0)
  const failing = () => company.measure(sleep(15).then(() => Promise.reject(new Error('refused'))))
  for (const { status } of await Promise.allSettled(Array.from({ length: 64 }, failing)))
    assert.equal(status, 'rejected')
  assert.equal(company.pauseMs(), 8)
})
