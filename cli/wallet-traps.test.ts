import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = dirname(import.meta.dirname)
/** contracts/wallet-needs.md §5: what wallets that exist have run into, or rely on. */
const TRAPS = 16

test('every trap of wallets has a test that is named after it', async () => {
  const found = new Set<number>()
  for (const folder of ['cli', 'connector', 'functions', 'shared'])
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (!name.endsWith('.test.ts')) continue
      const text = await readFile(join(root, folder, name), 'utf8')
      for (const [, title = ''] of text.matchAll(/\b(?:it|test)\(\s*['"`]([^\n]*)/g))
        for (const [, first, second] of title.matchAll(/\btrap (\d+)(?: and (\d+))?:/g))
          for (const number of [first, second]) if (number !== undefined) found.add(Number(number))
    }
  assert.deepEqual(
    [...found].sort((a, b) => a - b),
    Array.from({ length: TRAPS }, (_, index) => index + 1),
  )
})
