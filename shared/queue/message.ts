import { isObject, isUuid } from '../platform/index.ts'
import type { OutgoingMessage } from './drivers/model.ts'
import type { QueueName } from './model.ts'
import type { PublishedJob } from './published-store.ts'

/** What a message says: which job, and whose, so that tenants' places can be kept before the job is read. */
export interface JobMessage extends PublishedJob {
  queue: string
}

export const toMessage = (queue: QueueName, job: PublishedJob): OutgoingMessage => ({
  ...job,
  body: JSON.stringify({ queue, ...job } satisfies JobMessage),
})

/** The message, or what is wrong with it. Further members are for those who know them. */
export function parseMessage(body: string): JobMessage | { reason: string } {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return { reason: 'not JSON' }
  }
  if (!isObject(value)) return { reason: 'not an object' }
  const { queue, key, tenantId } = value
  if (typeof queue !== 'string') return { reason: '"queue" is not a text' }
  if (typeof key !== 'string' || !isUuid(key)) return { reason: '"key" is not a UUID' }
  if (tenantId === undefined) return { queue, key: key.toLowerCase() }
  if (typeof tenantId !== 'string' || !isUuid(tenantId)) return { reason: '"tenantId" is not a UUID' }
  return { queue, key: key.toLowerCase(), tenantId: tenantId.toLowerCase() }
}
