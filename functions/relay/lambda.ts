import { createTaskHandler, type TaskHandler, withAwsSecrets } from '../../shared/aws-lambda/index.ts'
import { openRelay } from './wiring.ts'

/** Publishes what is due, for the minutes in which the relay beside the connector is away. */
export const task: TaskHandler = createTaskHandler(async () => {
  const { node, tasks } = await openRelay(await withAwsSecrets(process.env), 'sandbox')
  return { ctx: node, tasks, invocation: node.invocation }
})
