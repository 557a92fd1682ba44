import { runTaskCommand } from '../../shared/schedule/index.ts'
import { openPaymentsTasks } from './wiring.ts'

await runTaskCommand(openPaymentsTasks, process.env, process.argv.slice(2))
