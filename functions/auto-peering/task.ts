import { runTaskCommand } from '../../shared/schedule/index.ts'
import { openAutoPeeringTasks } from './wiring.ts'

await runTaskCommand(openAutoPeeringTasks, process.env, process.argv.slice(2))
