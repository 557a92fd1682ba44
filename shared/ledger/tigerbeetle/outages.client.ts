// Part of outages.test.ts: a process that asks a cluster that is not there, twice, and closes.
import { randomUUID } from 'node:crypto'
import { type Fault, silentLogger } from '../../platform/index.ts'
import { createTigerBeetleLedger } from './ledger.ts'

const ledger = await createTigerBeetleLedger({
  clusterId: 0n,
  replicas: [{ host: '127.0.0.1', port: Number(process.argv[2]) }],
  log: silentLogger,
  outcomeTimeoutMs: 200,
  silenceMsMax: 150,
  closeTimeoutMs: 50,
})
const ask = () =>
  ledger.createAccounts([{ id: randomUUID(), ledger: 1, code: 1 }]).then(
    () => 'answered',
    (error: Fault) => error.code,
  )
const first = await ask()
const second = ask()
await ledger.close()
console.log(first, await second)
