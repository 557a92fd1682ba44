import { runTaskCommand } from '../../shared/schedule/index.ts'
import { openAdminTasks } from './wiring.ts'

await runTaskCommand(openAdminTasks, process.env, process.argv.slice(2))
