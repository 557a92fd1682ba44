import { runTaskCommand } from '../../shared/schedule/index.ts'
import { openWebhooksTasks } from './wiring.ts'

await runTaskCommand(openWebhooksTasks, process.env, process.argv.slice(2))
