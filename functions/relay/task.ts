import { runTaskCommand } from '../../shared/schedule/index.ts'
import { openRelayTasks } from './wiring.ts'

await runTaskCommand(openRelayTasks, process.env, process.argv.slice(2))
