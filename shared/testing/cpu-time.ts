import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks per second of /proc; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

interface ProcessTimes {
  parent: number
  /** Own and waited-for children's, in ticks. */
  ticks: number
}

function readTimes(pid: number): ProcessTimes | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces; fields are counted after it (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0)
    return { parent: Number(fields[1]), ticks }
  } catch {
    return undefined
  }
}

/** CPU milliseconds that a process and its descendants have used, from /proc; `undefined` where there is none. */
export function cpuMs(rootPid: number): number | undefined {
  const times = new Map<number, ProcessTimes>()
  let names: string[]
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return undefined
  }
  for (const name of names) {
    const read = readTimes(Number(name))
    if (read) times.set(Number(name), read)
  }
  if (!times.has(rootPid)) return undefined
  const isBelow = (pid: number): boolean => {
    for (let current: number | undefined = pid; current; current = times.get(current)?.parent)
      if (current === rootPid) return true
    return false
  }
  let ticks = 0
  for (const [pid, read] of times) if (isBelow(pid)) ticks += read.ticks
  return (ticks * 1000) / TICKS_PER_SECOND
}
