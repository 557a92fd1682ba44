/**
 * The last `sizeMin` things, at least, and up to twice as many. In two halves of which the older is dropped whole: a Map from which the
 * oldest entry is taken again and again has to step over all that it has lost before.
 */
export interface Recent<Value> {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
}

export function createRecent<Value>(sizeMin: number): Recent<Value> {
  let newer = new Map<string, Value>()
  let older = new Map<string, Value>()
  return {
    get: (key) => newer.get(key) ?? older.get(key),
    set(key, value) {
      newer.set(key, value)
      if (newer.size < sizeMin) return
      older = newer
      newer = new Map()
    },
  }
}
