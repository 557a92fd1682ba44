/** Deeper than any document of the protocols, and far from where recursion or Postgres gives up. */
const DEPTH_MAX = 64

const refuse = (message: string) =>
  Object.assign(new Error(message), { statusCode: 400, code: 'malformed_json' })

/** Throws unless every text in `value` can be stored and sent on: Postgres takes no U+0000, and no half of a surrogate pair. */
function checkText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) throw refuse('Bad Request: text that is no Unicode')
}

function check(value: unknown, depth: number, checksText: boolean): void {
  if (typeof value === 'string') {
    if (checksText) checkText(value)
    return
  }
  // 1e400 is JSON and no number of ours: it would be infinite here, and null when written again.
  if (typeof value === 'number' && !Number.isFinite(value)) throw refuse('Bad Request: number out of range')
  if (typeof value !== 'object' || value === null) return
  if (depth === DEPTH_MAX) throw refuse('Bad Request: nested too deeply')
  if (Array.isArray(value)) {
    for (const item of value) check(item, depth + 1, checksText)
    return
  }
  for (const [key, item] of Object.entries(value)) {
    if (checksText) checkText(key)
    check(item, depth + 1, checksText)
  }
}

/** Where the string that begins at `start` ends, its quote included. */
function endOfString(text: string, start: number): number {
  let end = start + 1
  while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  return end + 1
}

/**
 * Throws when an object of `text`, which is JSON, has a member twice. Readers disagree about which one counts, so that what
 * was looked at on the way, or signed, need not be what is used here (reference: A6).
 */
function checkNames(text: string): void {
  const open: Set<string>[] = []
  for (let index = 0; index < text.length; ) {
    const character = text[index]
    if (character !== '"') {
      // Lists count too: only the depth has to be right.
      if (character === '{' || character === '[') open.push(new Set())
      else if (character === '}' || character === ']') open.pop()
      index++
      continue
    }
    const end = endOfString(text, index)
    const raw = text.slice(index, end)
    index = end
    while (/\s/.test(text[index] ?? '')) index++
    if (text[index] !== ':') continue
    const name = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1)
    const names = open.at(-1)
    if (names?.has(name)) throw refuse('Bad Request: a member comes twice')
    names?.add(name)
  }
}

/**
 * A request's JSON, or `undefined` for an empty body. Refuses, as malformed, what parses but could not be handled further: nesting
 * beyond {@link DEPTH_MAX} levels, numbers beyond a double, and texts that are not Unicode. Throws an error with `statusCode` 400.
 */
export function parseJsonBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  const text = body.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse('Bad Request')
  }
  // Only an escape can make such a text: raw control characters are no JSON, raw bytes have been decoded.
  check(value, 0, body.includes('\\u'))
  // Most bodies are written as they would be here, and then nothing was lost in reading.
  if (JSON.stringify(value) !== text) checkNames(text)
  return value
}
