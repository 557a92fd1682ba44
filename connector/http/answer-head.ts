/** How the end of an answer's body is found (RFC 9112 §6.3). */
export type Framing = { kind: 'length'; length: number } | { kind: 'chunked' } | { kind: 'until_close' }

/** Status line and headers of an answer, as far as they matter for packets. */
export interface AnswerHead {
  status: number
  framing: Framing
  /** Whether the connection may carry another request afterwards. */
  isPersistent: boolean
  /** How long the other side says that it keeps an idle connection. */
  keepAliveMs?: number
  /** One value for each name, in lower case; repeated ones joined by a comma. */
  headers: ReadonlyMap<string, string>
}

/** The bytes are not an HTTP/1.1 answer, or are one that has two readings. */
export class MalformedAnswer extends Error {}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
/**
 * No whitespace before the colon and no continued lines (RFC 9112 §5): both have been read differently by different programs. The
 * blanks around the value are left in it: an expression that leaves them out takes a second for a line full of them.
 */
export const FIELD_LINE = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/
const LENGTH = /^\d{1,15}$/

const malformed = (what: string): never => {
  throw new MalformedAnswer(`the answer is no HTTP: ${what}`)
}

const isBlank = (character: string | undefined): boolean => character === ' ' || character === '\t'

function withoutBlanks(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.slice(start, end)
}

/** `text` is all before the empty line. Throws {@link MalformedAnswer}. */
export function parseAnswerHead(text: string): AnswerHead {
  const [first = '', ...lines] = text.split('\r\n')
  const [, minor, status] = STATUS_LINE.exec(first) ?? malformed('status line')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name = '', padded = ''] = FIELD_LINE.exec(line) ?? malformed('header')
    const key = name.toLowerCase()
    const value = withoutBlanks(padded)
    const known = headers.get(key)
    headers.set(key, known === undefined ? value : `${known}, ${value}`)
  }
  const framing = framingOf(Number(status), minor === '1', headers)
  const connection = headers.get('connection')?.toLowerCase()
  const keepAlive = /(?:^|[,;\s])timeout=(\d{1,9})(?:$|[,;\s])/i.exec(headers.get('keep-alive') ?? '')?.[1]
  return {
    status: Number(status),
    framing,
    isPersistent:
      minor === '1' &&
      framing.kind !== 'until_close' &&
      !(connection && /(^|[,\s])close([,\s]|$)/.test(connection)),
    ...(keepAlive !== undefined && { keepAliveMs: Number(keepAlive) * 1000 }),
    headers,
  }
}

function framingOf(status: number, isVersion11: boolean, headers: ReadonlyMap<string, string>): Framing {
  const length = headers.get('content-length')
  const encoding = headers.get('transfer-encoding')
  // Both at once is how answers are smuggled; neither is believed.
  if (length !== undefined && encoding !== undefined) malformed('two lengths')
  if (length !== undefined && !LENGTH.test(length)) malformed('Content-Length')
  if (encoding !== undefined && (!isVersion11 || encoding.toLowerCase() !== 'chunked'))
    malformed('Transfer-Encoding')
  if (status < 200 || status === 204 || status === 304) return { kind: 'length', length: 0 }
  if (encoding !== undefined) return { kind: 'chunked' }
  return length === undefined ? { kind: 'until_close' } : { kind: 'length', length: Number(length) }
}
