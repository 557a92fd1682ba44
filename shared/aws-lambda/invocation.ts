import type { Context } from 'aws-lambda'
import type { Invocation } from '../platform/index.ts'
import { openOnce } from './once.ts'

export interface Sandbox {
  invocation: Invocation
}

/**
 * A handler over what is opened once per sandbox (`openOnce`). What `open` throws is the invocation's failure, and the next one opens
 * again. `opensLater`: of a bundle with several handlers a sandbox invokes one.
 */
export function createHandler<Opened extends Sandbox, Event, Answer>(
  open: () => Promise<Opened>,
  work: (opened: Opened, event: Event, context: Context) => Promise<Answer>,
  options: { opensLater?: boolean } = {},
): (event: Event, context: Context) => Promise<Answer> {
  const opened = openOnce(open, { later: options.opensLater === true })
  return async (event, context) => {
    const sandbox = await opened()
    await sandbox.invocation.begin()
    try {
      return await work(sandbox, event, context)
    } finally {
      await sandbox.invocation.end()
    }
  }
}
