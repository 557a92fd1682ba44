import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseTigerBeetleCluster, type TigerBeetleCluster } from '../ledger/index.ts'
import { choosePort } from '../loopback-ports/index.ts'
import { accepts } from './accepts.ts'
import { waitFor } from './wait-for.ts'

const START_MS_MAX = 60_000

/** A TigerBeetle to test against. */
export interface TestTigerBeetle extends TigerBeetleCluster {
  stop(): Promise<void>
}

/** One replica of the test's own, which it may end and start again. */
export interface OwnTigerBeetle extends TestTigerBeetle {
  /** At once, as a power cut would. What was acknowledged is in its file. */
  kill(): Promise<void>
  /** It answers some seconds later. */
  start(): void
}

/** Says why tests with a server are skipped; `false` where they are not. */
export const withoutTigerBeetle: string | false =
  process.env.TIGERBEETLE_BINARY === undefined && process.env.TIGERBEETLE_REPLICA_ADDRESSES === undefined
    ? 'neither TIGERBEETLE_BINARY nor TIGERBEETLE_REPLICA_ADDRESSES is set'
    : false

/** The same for tests that end the server. */
export const withoutTigerBeetleBinary: string | false =
  process.env.TIGERBEETLE_BINARY === undefined ? 'TIGERBEETLE_BINARY is not set' : false

/** A server of TIGERBEETLE_BINARY on a file of its own, or the cluster at TIGERBEETLE_REPLICA_ADDRESSES, which keeps what tests write. */
export async function openTestTigerBeetle(): Promise<TestTigerBeetle> {
  if (process.env.TIGERBEETLE_BINARY !== undefined) return await startTestTigerBeetle()
  return {
    ...parseTigerBeetleCluster({
      clusterId: process.env.TIGERBEETLE_CLUSTER_ID ?? '0',
      replicaAddresses: process.env.TIGERBEETLE_REPLICA_ADDRESSES ?? '',
    }),
    stop: async () => undefined,
  }
}

/** Formats a file of about 1 GiB in the folder for temporary files and starts a server on it; which takes some seconds. */
export async function startTestTigerBeetle(): Promise<OwnTigerBeetle> {
  const binary = process.env.TIGERBEETLE_BINARY ?? 'tigerbeetle'
  const folder = mkdtempSync(join(tmpdir(), 'upesi-tigerbeetle-'))
  const file = join(folder, '0_0.tigerbeetle')
  const identity = ['--cluster=0', '--replica=0', '--replica-count=1', '--development']
  const formatted = spawnSync(binary, ['format', ...identity, file], { encoding: 'utf8' })
  if (formatted.status !== 0) {
    rmSync(folder, { recursive: true, force: true })
    throw new Error(`${binary} format: ${formatted.error?.message ?? formatted.stderr}`)
  }
  const port = await choosePort()
  const options = ['start', `--addresses=127.0.0.1:${port}`, '--development', file]
  let child: ChildProcess | undefined
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child?.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  const start = () => {
    child = spawn(binary, options, { stdio: 'ignore' })
  }
  start()
  // A test that dies must not leave a server.
  const killNow = () => child?.kill('SIGKILL')
  process.once('exit', killNow)
  await waitFor(() => accepts(port), START_MS_MAX)
  return {
    clusterId: 0n,
    replicas: [{ host: '127.0.0.1', port }],
    kill,
    start,
    async stop() {
      process.off('exit', killNow)
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
