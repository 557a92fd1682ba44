import { runQueueCommand } from './queue-command.ts'

await runQueueCommand(process.env, process.argv.slice(2))
