import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import fc from 'fast-check'
import { createTestDatabase } from '../../../shared/testing/index.ts'
import { type Party, startTestAdmin, type TestAdmin } from './harness.ts'

const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31)
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

let admin: TestAdmin
before(async () => {
  admin = await startTestAdmin(await createTestDatabase('auth'))
})
after(() => admin.close())

/** A few moments only, so that many grants share theirs and the id decides. */
const moment = fc.integer({ min: 0, max: 5 }).map((second) => new Date(Date.UTC(2031, 0, 1, 0, 0, second)))
const walks = fc.record({
  present: fc.array(moment, { minLength: 1, maxLength: 25 }),
  /** What is added after each page. */
  inserts: fc.array(fc.array(moment, { maxLength: 3 }), { maxLength: 6 }),
  size: fc.integer({ min: 1, max: 9 }),
  sortOrder: fc.constantFrom('ASC' as const, 'DESC' as const),
  isForward: fc.boolean(),
  asOperator: fc.boolean(),
})

const query = `query Page($first: Int, $last: Int, $after: String, $before: String, $sortOrder: SortOrder, $tenantId: ID) {
  grants(first: $first, last: $last, after: $after, before: $before, sortOrder: $sortOrder, tenantId: $tenantId) {
    edges { node { id } } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }`

it('pages in a row are the whole list in its order, each grant once, whatever is added meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(walks, async ({ present, inserts, size, sortOrder, isForward, asOperator }) => {
      const [owner, other] = [await admin.newTenant(), await admin.newTenant()]
      const keys = new Map<string, string>()
      const add = async (createdAt: Date) => {
        const id = await admin.newGrant(owner, { createdAt })
        keys.set(id, `${createdAt.toISOString()} ${id}`)
        // In between, in every order, and never to be seen.
        await admin.newGrant(other, { createdAt })
        return id
      }
      const inOrder = (ids: string[]) => {
        const sorted = ids.toSorted((a, b) => (String(keys.get(a)) < String(keys.get(b)) ? -1 : 1))
        return sortOrder === 'ASC' ? sorted : sorted.reverse()
      }
      const originals: string[] = []
      for (const createdAt of present) originals.push(await add(createdAt))

      const party: Party = asOperator ? admin.operator : owner
      const last = inOrder(originals).at(-1)
      assert.ok(last)
      // Backward one starts at the last grant, which is no part of the page before it.
      const seen: string[] = isForward ? [] : [last]
      let cursor: string | undefined = isForward ? undefined : last
      for (let page = 0, isMore = true; isMore; page++) {
        assert.ok(page < 200, 'it ends')
        const place = isForward ? { first: size, after: cursor } : { last: size, before: cursor }
        const { data } = await admin.ask(party, query, { ...place, sortOrder, tenantId: owner.tenantId })
        const { edges, pageInfo } = data.grants
        const ids = edges.map(({ node }: { node: { id: string } }) => node.id)
        assert.ok(ids.length <= size)
        if (isForward) seen.push(...ids)
        else seen.unshift(...ids)
        cursor = isForward ? pageInfo.endCursor : pageInfo.startCursor
        isMore = isForward ? pageInfo.hasNextPage : pageInfo.hasPreviousPage
        for (const createdAt of inserts[page] ?? []) await add(createdAt)
      }
      assert.deepEqual(seen, inOrder(seen), 'in order')
      assert.equal(new Set(seen).size, seen.length, 'each once')
      for (const id of originals) assert.ok(seen.includes(id), 'all that were there')
      for (const id of seen) assert.ok(keys.has(id), "nobody else's")
    }),
    { seed, numRuns: 20 },
  )
})
