import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../../platform/index.ts'
import { startTestTigerBeetle, withoutTigerBeetleBinary } from '../../testing/index.ts'
import { createTigerBeetleLedger } from './ledger.ts'

/** Of a cluster. */
const SESSIONS_MAX = 64
const patient = { outcomeTimeoutMs: 60_000, silenceMsMax: 60_000, connectMsMax: 60_000 }

test(
  'F38: a client whose session was evicted goes on with another, and its process ends',
  {
    skip: withoutTigerBeetleBinary,
  },
  async () => {
    const cluster = await startTestTigerBeetle()
    const path = fileURLToPath(new URL('./evictions.client.ts', import.meta.url))
    const child = spawn(process.execPath, [path, String(cluster.replicas[0]?.port)], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const ended = once(child, 'exit')
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const line = async () => (await lines.next()).value
      assert.equal(await line(), 'created')
      // One more than the cluster keeps. Each takes about a second to be let in, and more at once are let in no faster.
      for (let count = 0; count <= SESSIONS_MAX; count++) {
        const other = await createTigerBeetleLedger({ ...cluster, ...patient, log: silentLogger })
        await other.lookupAccounts([randomUUID()]).finally(() => other.close())
      }
      child.stdin.write('go on\n')
      assert.equal(await line(), 'created')
      assert.equal(await line(), 'closed')
      assert.deepEqual(await ended, [0, null])
    } finally {
      child.kill('SIGKILL')
      await cluster.stop()
    }
  },
)
