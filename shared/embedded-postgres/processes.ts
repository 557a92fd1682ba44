import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where the kernel shows processes as files; macOS has no such place and is asked through `ps`. */
const readProc = (pid: number, name: string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return undefined
  }
}

const askPs = (pid: number, column: string): string | undefined => {
  const result = spawnSync('ps', ['-ww', '-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : undefined
}

/** The fields of /proc/<pid>/stat after the name, which may itself hold spaces and brackets. */
const statFields = (pid: number): string[] | undefined =>
  readProc(pid, 'stat')
    ?.replace(/^.*\) /s, '')
    .split(' ')

/** False for a process that has ended and only waits for its parent to notice: containers often have nobody who does. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return statFields(pid)?.[0] !== 'Z'
}

/** Tells a process from a later one with the same number; `undefined` when it is gone. */
export function processIdentity(pid: number): string | undefined {
  if (!isAlive(pid)) return undefined
  return statFields(pid)?.[19] ?? askPs(pid, 'lstart')
}

/** The command line, arguments joined by blanks. */
export function commandOf(pid: number): string | undefined {
  return readProc(pid, 'cmdline')?.replaceAll('\0', ' ') ?? askPs(pid, 'command')
}

/** Asks until `check` answers, or gives `undefined` when the time is up. */
export async function poll<T>(
  check: () => T | undefined | Promise<T | undefined>,
  limits: { timeoutMs: number; everyMs: number },
): Promise<T | undefined> {
  const deadline = Date.now() + limits.timeoutMs
  for (;;) {
    const found = await check()
    if (found !== undefined || Date.now() >= deadline) return found
    await sleep(limits.everyMs)
  }
}
