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

/**
 * A request's JSON, or `undefined` for an empty body. Refuses, as malformed, what parses but could not be handled further: nesting
 * beyond {@link DEPTH_MAX} levels, numbers beyond a double, and texts that are not Unicode. Throws an error with `statusCode` 400.
 */
export function parseJsonBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    throw refuse('Bad Request')
  }
  // Only an escape can make such a text: raw control characters are no JSON, raw bytes have been decoded.
  check(value, 0, body.includes('\\u'))
  return value
}
