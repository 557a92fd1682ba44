/**
 * `npm run bench:open-payments`: requests to the resource server and the authorization server, each a process of its own as in
 * production, over embedded PostgreSQL, durable as in production. The load comes from one more process, which is not counted.
 * `--seconds=<per row>`, `--warm-up=<seconds>`, `--connections=<numbers>`, `--kind=<part of a name>`, `--profile=<folder>`.
 */
import { parseArgs } from 'node:util'
import { startTemporaryPostgres } from '../shared/embedded-postgres/index.ts'
import { authEnvironment, bankEnvironment, createBankSettings } from './bank-settings.ts'
import { GENERATOR, measure, printHead, printRow, startServer } from './load/bench.ts'
import { startLoadGenerator } from './load/load-generator.ts'
import { fetchTokens, loadKinds, seedOpenPayments } from './load/open-payments-load.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '6' },
    'warm-up': { type: 'string', default: '6' },
    connections: { type: 'string', default: '1,64' },
    kind: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
})

const COUNTED = ['open-payments', 'auth', 'Postgres']
const times = {
  warmUpMs: Number(options['warm-up']) * 1000,
  measuredMs: Number(options.seconds) * 1000,
}

async function main(): Promise<void> {
  const closers: (() => Promise<void>)[] = []
  const postgres = await startTemporaryPostgres()
  closers.push(() => postgres.stop())
  try {
    const settings = await createBankSettings('a', [])
    for (const name of ['bank', 'bank_auth']) await postgres.createDatabase(name)
    const environment = bankEnvironment(
      settings,
      { resources: postgres.connectionString('bank'), auth: postgres.connectionString('bank_auth') },
      { NODE_ENV: 'production' },
    )
    const load = await seedOpenPayments(environment)
    const start = async (path: string, env: Record<string, string>) => {
      const server = await startServer(path, env, options.profile)
      closers.push(server.stop)
      return server
    }
    const auth = await start('../../functions/auth/server.ts', authEnvironment(settings, environment))
    const openPayments = await start('../../functions/open-payments/server.ts', environment)
    await fetchTokens(load, `http://localhost:${settings.ports.auth}`)
    const generator = startLoadGenerator()
    closers.push(generator.close)

    printHead(COUNTED)
    const processes = {
      'open-payments': openPayments.pid,
      auth: auth.pid,
      Postgres: postgres.pid,
      [GENERATOR]: generator.pid,
    }
    const { ports } = settings
    for (const kind of loadKinds(load).filter(({ name }) => name.includes(options.kind)))
      for (const connections of options.connections.split(',').map(Number)) {
        const port = ports[kind.server]
        const requests = kind.requests(`http://localhost:${port}`)
        const measured = { kind: { ...kind, port, requests }, connections, generator, processes, ...times }
        printRow(await measure(measured), COUNTED)
      }
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

await main()
