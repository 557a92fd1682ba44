import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createDb, rawSql, type Sql, sql } from '../shared/platform/index.ts'
import { readConnections } from './connections.ts'
import { projectFolder } from './options.ts'

const START_MS_MAX = 90_000

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + START_MS_MAX
  while (!(await holds())) {
    assert.ok(Date.now() < end, what)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** `npm start` with a data folder of its own, as its user sees it: what it prints, and how it ends. */
describe('npm start', () => {
  let folder: string
  const running = new Set<ChildProcess>()

  const start = (...args: string[]) => {
    const child = spawn(process.execPath, ['cli/start.ts', '--data', folder, ...args], {
      cwd: projectFolder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    let out = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    const ended = once(child, 'close').then(([code, signal]) => {
      running.delete(child)
      return { code: code as number | null, signal: signal as string | null, out, errors }
    })
    return {
      ended,
      kill: (signal: NodeJS.Signals) => child.kill(signal),
      prints: (text: string) =>
        until(`printed "${text}"`, () => {
          assert.equal(child.exitCode, null, `${out}${errors}`)
          return out.includes(text)
        }),
    }
  }

  const postgresRuns = () => existsSync(join(folder, 'postgres', 'data', 'postmaster.pid'))

  const assertPaid = ({ code, out, errors }: { code: number | null; out: string; errors: string }) => {
    assert.equal(errors, '', 'no warnings, of Node or of ours')
    assert.equal(code, 0, out)
    assert.match(out, /Bob {4}received 5\.00 EUR/)
    assert.match(out, / ok {7}I3 two-node agreement/)
    assert.doesNotMatch(out, /PROBLEM/)
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'upesi-start-'))
    // Root lends PostgreSQL another user, who must get here: else the data is kept elsewhere.
    await chmod(folder, 0o755)
  })
  after(async () => {
    for (const child of running) child.kill('SIGTERM')
    await Promise.all([...running].map((child) => once(child, 'close')))
    await rm(folder, { recursive: true, force: true })
  })

  it('--once pays, audits and leaves nothing running', async () => {
    const first = await start('--once').ended
    assertPaid(first)
    assert.match(first.out, /^ {13}new$/m)
    assert.equal(postgresRuns(), false, 'PostgreSQL has been stopped')
  })

  it('goes on with its data, keeps running, and Ctrl-C stops all of it', async () => {
    const second = start()
    await second.prints('Ctrl-C stops everything')
    assert.equal(postgresRuns(), true)
    second.kill('SIGINT')
    const end = await second.ended
    assertPaid(end)
    assert.match(end.out, /kept from an earlier start/)
    assert.match(end.out, new RegExp(`npm run audit -- --data ${folder}`))
    assert.equal(postgresRuns(), false)
  })

  it('that was killed in the middle of a payment: the next one finishes that too, before it audits', async () => {
    const killed = start()
    await killed.prints('Alice at bank A')
    const { a } = await readConnections(folder)
    const db = createDb({ connectionString: a?.resources ?? '', poolSizeMax: 1 })
    const count = (query: Sql) => db.one((row) => Number(row.count), query)
    // What was sent cannot be recorded, so the payment stays under way.
    await db.execute(
      rawSql(
        `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$`,
      ),
    )
    await db.execute(
      rawSql(`create trigger refuse before update on outgoing_payments
        for each row when (new.state = 'COMPLETED') execute function refuse()`),
    )
    await until('sending', async () => {
      const sending = sql`select count(*) from outgoing_payments where state = 'SENDING'`
      return (await count(sending)) === 1
    })
    killed.kill('SIGKILL')
    const { signal } = await killed.ended
    assert.equal(signal, 'SIGKILL')
    assert.equal(postgresRuns(), true, 'PostgreSQL outlives it')
    // The server still carries out what it had been told.
    await until('alone', async () => {
      const others = sql`select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`
      return (await count(others)) === 0
    })
    await db.execute(rawSql('drop function refuse cascade'))
    // As if everything that was under way had been claimed just then.
    await db.execute(sql`update jobs set run_at = now() + interval '20 seconds'`)
    await db.execute(sql`update outgoing_payments set updated_at = now() + interval '10 seconds'`)
    await db.close()

    const next = await start('--once').ended
    assertPaid(next)
    assert.match(next.out, /adopted: an earlier start was killed/)
    assert.match(next.out, /waiting for what is still under way/)
    assert.match(next.out, /I4 payment closure {5}a {8}outgoing payments: 4/)
    assert.equal(postgresRuns(), false, 'the adopted server has been stopped too')
  })

  it('says what it does not know, and starts nothing', async () => {
    const { code, out, errors } = await start('--twice').ended
    assert.equal(code, 1)
    assert.match(errors, /Failed: .*--twice/)
    assert.doesNotMatch(out, /PostgreSQL/)
  })
})
