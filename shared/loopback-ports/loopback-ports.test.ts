import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { choosePort } from './index.ts'

const run = promisify(execFile)
const PROCESSES = 4
const PORTS_EACH = 400

/** Chooses, says what, and stays until its input ends, so that all of them hold theirs at one time. */
const chooser = `
  const { choosePort } = await import(${JSON.stringify(import.meta.resolve('./index.ts'))})
  const ports = await Promise.all(Array.from({ length: ${PORTS_EACH} }, choosePort))
  console.log(JSON.stringify(ports))
  await new Promise((resolve) => process.stdin.on('end', resolve).resume())`

test('processes that choose at the same time are never given the same port', async () => {
  const children = Array.from({ length: PROCESSES }, () => {
    const running = run(process.execPath, ['--input-type=module', '-e', chooser])
    const said = new Promise<void>((resolve) => running.child.stdout?.once('data', () => resolve()))
    return { running, said }
  })
  await Promise.all(children.map(({ said }) => said))
  for (const { running } of children) running.child.stdin?.end()
  const chosen = (await Promise.all(children.map(({ running }) => running))).flatMap(
    ({ stdout }) => JSON.parse(stdout) as number[],
  )
  assert.equal(chosen.length, PROCESSES * PORTS_EACH)
  assert.equal(new Set(chosen).size, chosen.length)
})

test('a chosen port can be listened on, again and again', async () => {
  const port = await choosePort()
  for (let time = 0; time < 3; time++) {
    await new Promise<void>((resolve, reject) => {
      const server = createServer().once('error', reject)
      server.listen(port, () => server.close(() => resolve()))
    })
  }
})
