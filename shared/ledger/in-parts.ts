import type { LedgerId } from './port.ts'

/** Finds any number of ids, `sizeMax` at a time. */
export async function inParts<T>(
  ids: readonly LedgerId[],
  sizeMax: number,
  find: (ids: readonly LedgerId[]) => Promise<T[]>,
): Promise<T[]> {
  if (ids.length <= sizeMax) return find(ids)
  const found: T[] = []
  for (let from = 0; from < ids.length; from += sizeMax)
    found.push(...(await find(ids.slice(from, from + sizeMax))))
  return found
}
