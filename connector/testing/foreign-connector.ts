/** For tests: ilp-connector 23, whose accounts are ilp-plugin-http 1.6.1, in a process of its own. Imported by tests only. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

export interface ForeignAccount {
  /** Where it listens for this account: every account of ilp-plugin-http has a port of its own. */
  port: number
  incomingToken: string
  outgoingUrl: string
  outgoingToken: string
  assetCode: string
  assetScale: number
  maxPacketAmount?: string
}

export interface ForeignConnectorOptions {
  ilpAddress: string
  accounts: Record<string, ForeignAccount>
  /** By account. */
  prefixes: Record<string, string>
}

export interface ForeignConnector {
  close(): Promise<void>
}

interface App {
  listen(): Promise<void>
}

const self = fileURLToPath(import.meta.url)
const START_MS_MAX = 30_000

export async function startForeignConnector(options: ForeignConnectorOptions): Promise<ForeignConnector> {
  const child = fork(self, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  child.send(options)
  const signal = AbortSignal.timeout(START_MS_MAX)
  await Promise.race([
    once(child, 'message', { signal }),
    once(child, 'exit', { signal }).then(() => {
      throw new Error('ilp-connector did not start')
    }),
  ])
  return {
    async close() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

if (process.argv[1] === self)
  process.once('message', (options: ForeignConnectorOptions) => {
    const { createApp } = createRequire(import.meta.url)('ilp-connector') as {
      createApp(config: object): App
    }
    const accounts = Object.entries(options.accounts).map(([id, account]) => {
      const { assetCode, assetScale, maxPacketAmount } = account
      const config = {
        relation: 'peer',
        plugin: 'ilp-plugin-http',
        assetCode,
        assetScale,
        sendRoutes: false,
        receiveRoutes: false,
        ...(maxPacketAmount !== undefined && { maxPacketAmount }),
        options: {
          incoming: { port: account.port, staticToken: account.incomingToken },
          outgoing: { url: account.outgoingUrl, staticToken: account.outgoingToken },
        },
      }
      return [id, config]
    })
    const app = createApp({
      env: 'test',
      ilpAddress: options.ilpAddress,
      accounts: Object.fromEntries(accounts),
      routes: Object.entries(options.prefixes).map(([peerId, targetPrefix]) => ({ peerId, targetPrefix })),
      backend: 'one-to-one',
      spread: 0,
      store: 'memory',
    })
    void app.listen().then(() => process.send?.('listening'))
  })
