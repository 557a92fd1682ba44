import { runTaskCommand } from '../../shared/schedule/index.ts'
import { openAuthTasks } from './wiring.ts'

await runTaskCommand(openAuthTasks, process.env, process.argv.slice(2))
