import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const folders = ['shared/migrations', 'shared/ledger/postgres/migrations', 'functions/auth/migrations']
/** A handful of rows, or one for each tenant: a lock on these is over at once. */
const SMALL = new Set(['tenants', 'tenant_settings', 'assets', 'peers', 'instance_keys'])

interface Statement {
  file: string
  text: string
}

const statementsOf = (folder: string): Statement[] =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.sql'))
    .flatMap((file) =>
      readFileSync(join(root, folder, file), 'utf8')
        .replace(/--.*$/gm, '')
        .split(';')
        .map((text) => ({ file, text: text.replace(/\s+/g, ' ').trim() })),
    )

/** Statements on tables that may be large by then: not of this file, and not small ones. */
function onGrown(statements: readonly Statement[], on: RegExp): Statement[] {
  const madeIn = (file: string) =>
    new Set(
      statements
        .filter((statement) => statement.file === file)
        .map(({ text }) => /^create (?:unlogged )?table (?:if not exists )?([\w.]+)/.exec(text)?.[1]),
    )
  return statements.filter(({ file, text }) => {
    const table = on.exec(text)?.[1]
    return table !== undefined && !SMALL.has(table) && !madeIn(file).has(table)
  })
}

for (const folder of folders) {
  const statements = statementsOf(folder)

  test(`F30: indexes of tables that may have grown are made while others write (${folder})`, () => {
    const blocking = onGrown(statements, /^create (?:unique )?index .*? on ([\w.]+)/).filter(
      ({ text }) => !text.includes(' index concurrently '),
    )
    assert.deepEqual(blocking, [])
  })

  test(`F30: no change of a table that may have grown reads it under a lock (${folder})`, () => {
    const altered = onGrown(statements, /^alter table ([\w.]+)/)
    const reading = altered.filter(({ text }) =>
      text
        .split(/, (?=(?:add|drop|alter|validate) )/)
        .some(
          (change) =>
            /\b(check|unique|primary key|references|foreign key)\b/.test(change) && !isLight(change),
        ),
    )
    assert.deepEqual(reading, [])
  })
}

/** Not checked against the rows that are there, or against an index that is there; `validate` reads them under a lock that writes pass. */
const isLight = (change: string): boolean => /not valid$|using index|validate constraint/.test(change)
