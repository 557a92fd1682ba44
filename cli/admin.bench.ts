/**
 * `npm run bench:admin`: signed queries and mutations of the Admin API, in a process of its own as in production, over embedded
 * PostgreSQL, durable as in production. The load comes from one more process, which is not counted.
 * `--seconds=<per row>`, `--warm-up=<seconds>`, `--connections=<numbers>`, `--kind=<part of a name>`, `--profile=<folder>`.
 */
import { parseArgs } from 'node:util'
import { startTemporaryPostgres } from '../shared/embedded-postgres/index.ts'
import { bankEnvironment, createBankSettings } from './bank-settings.ts'
import { adminKinds, seedAdmin, tryAdminRequest, writeAdminRequests } from './load/admin-load.ts'
import { GENERATOR, measure, printHead, printRow, startServer } from './load/bench.ts'
import { startLoadGenerator } from './load/load-generator.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '4' },
    connections: { type: 'string', default: '1,64' },
    kind: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
})

const COUNTED = ['admin', 'Postgres']
/** More than any row sends: a mutation's signature is good for one request. */
const REQUESTS_PER_SECOND_MAX = 20_000
const REPEATED = 4_096

async function main(): Promise<void> {
  const closers: (() => Promise<void>)[] = []
  const postgres = await startTemporaryPostgres()
  closers.push(() => postgres.stop())
  try {
    const settings = await createBankSettings('a', [])
    for (const name of ['bank', 'bank_auth']) await postgres.createDatabase(name)
    const environment = {
      ...bankEnvironment(
        settings,
        { resources: postgres.connectionString('bank'), auth: postgres.connectionString('bank_auth') },
        { NODE_ENV: 'production' },
      ),
      // Requests are signed before they are sent, and more of them the longer a row lasts.
      ADMIN_API_SIGNATURE_TTL_SECONDS: '600',
    }
    const load = await seedAdmin(environment)
    const admin = await startServer('../../functions/admin/server.ts', environment, options.profile)
    closers.push(admin.stop)
    const generator = startLoadGenerator()
    closers.push(generator.close)

    printHead(COUNTED)
    const processes = { admin: admin.pid, Postgres: postgres.pid, [GENERATOR]: generator.pid }
    const port = settings.ports.admin
    const times = {
      warmUpMs: Number(options['warm-up']) * 1000,
      measuredMs: Number(options.seconds) * 1000,
    }
    const once = ((times.warmUpMs + times.measuredMs) / 1000) * REQUESTS_PER_SECOND_MAX
    for (const kind of adminKinds.filter(({ name }) => name.includes(options.kind))) {
      await tryAdminRequest(load, kind, port)
      for (const connections of options.connections.split(',').map(Number)) {
        const requests = writeAdminRequests(load, kind, kind.isOnce ? once : REPEATED, port)
        const row = { kind: { name: kind.name, port, requests, expectedStatus: 200 }, connections }
        printRow(await measure({ ...row, generator, processes, ...times }), COUNTED)
      }
    }
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

await main()
