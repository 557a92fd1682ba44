// Part of evictions.test.ts: a process whose session is ended by the cluster while it waits for a word on its standard input.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { silentLogger } from '../../platform/index.ts'
import { createTigerBeetleLedger } from './ledger.ts'

const ledger = await createTigerBeetleLedger({
  clusterId: 0n,
  replicas: [{ host: '127.0.0.1', port: Number(process.argv[2]) }],
  log: silentLogger,
  outcomeTimeoutMs: 60_000,
  silenceMsMax: 30_000,
  connectMsMax: 30_000,
})
const create = () => ledger.createAccounts([{ id: randomUUID(), ledger: 1, code: 1 }])
console.log(String(await create()))
await once(process.stdin, 'data')
console.log(String(await create()))
await ledger.close()
console.log('closed')
// A client that was evicted cannot be ended, and would keep this process alive.
process.exit(0)
