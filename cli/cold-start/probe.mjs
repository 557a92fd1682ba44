// Loaded before a process that is measured; says on file descriptor 3 what it has used, when it is told to (SIGUSR2), and ends.
import { writeSync } from 'node:fs'

process.on('SIGUSR2', () => {
  const { user, system } = process.cpuUsage()
  writeSync(3, JSON.stringify({ cpuMs: (user + system) / 1000, wallMs: performance.now() }))
  process.exit(0)
})
