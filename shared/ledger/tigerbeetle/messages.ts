import { assert } from '../../platform/index.ts'
import { codeOf, TOO_MUCH_DATA } from './native.ts'

/** How much of one kind goes into a message. A server may take less than TigerBeetle's usual 1 MiB, and says so only by refusing. */
export interface MessageLimit {
  max: number
}

/** Sends all of `items`, in messages as large as the server takes. Whatever is linked to the next item stays with it. */
export async function inMessages<Item, Result>(
  items: readonly Item[],
  limit: MessageLimit,
  isLinked: (item: Item) => boolean,
  send: (part: Item[]) => Promise<Result[]>,
): Promise<Result[]> {
  const results: Result[] = []
  for (let from = 0; from < items.length; ) {
    const end = endOfPart(items, from, limit.max, isLinked)
    const answered = await withinLimit(limit, end - from, () => send(items.slice(from, end)))
    if (!answered) continue
    results.push(...answered)
    from = end
  }
  return results
}

function endOfPart<Item>(
  items: readonly Item[],
  from: number,
  max: number,
  isLinked: (item: Item) => boolean,
): number {
  if (items.length - from <= max) return items.length
  for (let end = from + max; end > from; end--) if (!isLinked(items[end - 1] as Item)) return end
  assert(false, 'a chain fits into a message', { max })
}

/** `undefined` when the server refused it for its size; the limit is then lower. */
export async function withinLimit<Result>(
  limit: MessageLimit,
  size: number,
  send: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await send()
  } catch (error) {
    if (codeOf(error) !== TOO_MUCH_DATA || size === 1) throw error
    limit.max = Math.min(limit.max, Math.floor(size / 2))
    return undefined
  }
}
