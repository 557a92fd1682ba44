/**
 * The head of a request as peers' HTTP clients write it, and nothing else. What is taken here has one reading, and node:http reads it
 * alike (a test holds the two against each other); whatever is unusual is not refused but left to node:http.
 */
export interface PacketHead {
  token: string
  contentType: string
  contentLength: number
}

const REQUEST_LINE = /^POST \/[A-Za-z0-9/._~?=&%-]* HTTP\/1\.1$/
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+): ?([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/
const HOST = /^[A-Za-z0-9.:[\]-]+$/
const LENGTH = /^(?:0|[1-9]\d{0,5})$/
/** They say how the request or the connection goes on. */
const LEFT_TO_NODE: ReadonlySet<string> = new Set([
  'transfer-encoding',
  'expect',
  'upgrade',
  'http2-settings',
  'proxy-connection',
  'trailer',
  'te',
])
const FIELDS_MAX = 64

/** `text` is all before the empty line; undefined when it is for node:http to read. */
export function parsePacketHead(text: string): PacketHead | undefined {
  const [first = '', ...lines] = text.split('\r\n')
  if (!REQUEST_LINE.test(first) || lines.length > FIELDS_MAX) return undefined
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value = ''] = FIELD_LINE.exec(line) ?? []
    if (name === undefined) return undefined
    const key = name.toLowerCase()
    if (headers.has(key) || LEFT_TO_NODE.has(key)) return undefined
    headers.set(key, value)
  }
  const connection = headers.get('connection')
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return undefined
  const length = headers.get('content-length') ?? ''
  if (!HOST.test(headers.get('host') ?? '') || !LENGTH.test(length)) return undefined
  const token = bearerToken(headers.get('authorization'))
  const contentType = headers.get('content-type')
  if (token === undefined || !isPacketType(contentType)) return undefined
  return { token, contentType, contentLength: Number(length) }
}

/** Scheme and token, one space between them. */
export function bearerToken(authorization: string | undefined): string | undefined {
  const parts = authorization?.split(' ')
  if (parts?.length !== 2 || parts[0]?.toLowerCase() !== 'bearer') return undefined
  return parts[1]
}

/** The second is what the JavaScript reference plugin sends; parameters do not matter. */
const packetTypes: ReadonlySet<string> = new Set(['application/octet-stream', 'application/ilp+octet-stream'])

export function isPacketType(contentType: string | undefined): contentType is string {
  if (contentType === undefined) return false
  const end = contentType.indexOf(';')
  const type = end === -1 ? contentType : contentType.slice(0, end)
  return packetTypes.has(type.trim().toLowerCase())
}
