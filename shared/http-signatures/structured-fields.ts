import { type InnerList, isInnerList, parseList } from 'structured-headers'
import { SignatureRefusal } from './errors.ts'

const malformed = (header: string) =>
  new SignatureRefusal('signature_malformed', { message: `${header} is not a structured field` })

const isBlank = (character: string | undefined) => character === ' ' || character === '\t'

/** Without blanks at its ends. Not by an expression: `[ \t]+$` tries again at every blank, and strangers may send thousands. */
function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.slice(start, end)
}

/**
 * Splits a dictionary (RFC 9651 §3.2) into its members' raw texts, because a signature covers the text that was sent and not
 * our spelling of it. Keys that come twice are refused: readers disagree about which one counts.
 */
export function splitDictionary(text: string, header: string): Map<string, string> {
  const members = new Map<string, string>()
  let start = 0
  let inString = false
  const take = (end: number) => {
    const member = trimmed(text.slice(start, end))
    const [, key, value] = /^([a-z*][a-z0-9_.*-]*)=(.+)$/s.exec(member) ?? []
    if (key === undefined || value === undefined || members.has(key)) throw malformed(header)
    members.set(key, value)
    start = end + 1
  }
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (inString) {
      if (character === '\\') index++
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '%') throw malformed(header)
    else if (character === ',') take(index)
  }
  take(text.length)
  return members
}

/** The inner list that `text` is, all of it. */
export function parseInnerList(text: string, header: string): InnerList {
  let list: ReturnType<typeof parseList>
  try {
    list = parseList(text)
  } catch {
    throw malformed(header)
  }
  const [only] = list
  if (list.length !== 1 || only === undefined || !isInnerList(only)) throw malformed(header)
  return only
}

/** The bytes of a byte sequence without parameters, in the one canonical base64 spelling; `undefined` otherwise. */
export function parseBytes(text: string): Buffer | undefined {
  const [, base64] = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(text) ?? []
  if (base64 === undefined) return undefined
  const bytes = Buffer.from(base64, 'base64')
  return bytes.toString('base64') === base64 ? bytes : undefined
}
