import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { choosePort } from '../loopback-ports/index.ts'
import { accepts } from './accepts.ts'
import { waitFor } from './wait-for.ts'

/** PEM files. */
export interface TestRedisTls {
  caFile: string
  certFile: string
  keyFile: string
  /** Whether clients have to show a certificate of the CA. */
  asksClients: boolean
}

export interface TestRedis {
  url: string
  /** Ends it at once, as a crash does; it can be started again at the same place, with nothing kept. */
  kill(): Promise<void>
  start(): Promise<void>
  /** It stays and does not answer, until it is resumed. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

const has = (program: string): boolean =>
  spawnSync('/bin/sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0

/**
 * A Redis of the test's own on a free port, nothing kept. `undefined` where redis-server is not installed: the test skips and
 * says so. In CI, where it can be installed, its absence is an error. With `tls` it speaks nothing else.
 */
export async function startTestRedis(tls?: TestRedisTls): Promise<TestRedis | undefined> {
  if (!has('redis-server')) {
    if (process.env.CI === 'true' && has('apt-get')) throw new Error('CI must install redis-server')
    return undefined
  }
  const port = await choosePort()
  let child: ChildProcess | undefined
  const end = async (signal: NodeJS.Signals) => {
    const ending = child
    child = undefined
    if (!ending || ending.exitCode !== null) return
    const ended = new Promise<void>((resolve) => ending.once('exit', () => resolve()))
    ending.kill(signal)
    await ended
  }
  const start = async () => {
    child = spawn(
      'redis-server',
      [...portOptions(port, tls), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
      { stdio: 'ignore', cwd: '/' },
    )
    await waitFor(() => accepts(port))
  }
  // A test that dies must not leave a server.
  const kill = () => child?.kill('SIGKILL')
  process.once('exit', kill)
  await start()
  return {
    url: `${tls ? 'rediss' : 'redis'}://127.0.0.1:${port}`,
    start,
    kill: () => end('SIGKILL'),
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    async stop() {
      process.off('exit', kill)
      child?.kill('SIGCONT')
      await end('SIGTERM')
    },
  }
}

const portOptions = (port: number, tls: TestRedisTls | undefined): string[] =>
  tls === undefined
    ? ['--port', String(port)]
    : [
        ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', tls.asksClients ? 'yes' : 'no'],
        ...['--tls-ca-cert-file', tls.caFile, '--tls-cert-file', tls.certFile, '--tls-key-file', tls.keyFile],
      ]
