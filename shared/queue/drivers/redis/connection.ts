import type { Redis } from '../../../platform/index.ts'

const READY_MS = 1_000

/** Waits a moment for a connection: without one every command would fail at once. */
export async function untilReady(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer)
      redis.off('ready', end)
      resolve()
    }
    const timer = setTimeout(end, READY_MS)
    redis.once('ready', end)
  })
}

/** What the server calls this connection, each time that there is one: by that name another can end its waiting. */
export function trackConnectionId(redis: Redis): () => Promise<unknown> | undefined {
  let id: Promise<unknown> | undefined
  const ask = () => {
    id = redis.client('ID').catch(() => undefined)
  }
  redis.on('ready', ask)
  if (redis.status === 'ready') ask()
  return () => id
}
