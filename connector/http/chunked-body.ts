import { FIELD_LINE, MalformedAnswer } from './answer-head.ts'

/** Chunk extensions and trailers of one body together: nobody needs them. */
const EXTRAS_MAX = 4096
const EXTENSIONS =
  /^(?:;[!#$%&'*+\-.^_`|~\dA-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~\dA-Za-z]+|"[\t\x20\x21\x23-\x5b\x5d-\x7e]*"))?)*$/
/** They would say anew how long the body is (RFC 9110 §6.5.1). */
const LENGTHS = /^(?:content-length|transfer-encoding):/i
const CR = 13
const LF = 10
const SEMICOLON = 59

type State =
  | 'size'
  | 'extension'
  | 'size end'
  | 'data'
  | 'data CR'
  | 'data LF'
  | 'line'
  | 'trailer'
  | 'trailer LF'
  | 'last LF'

/** A chunked body (RFC 9112 §7.1) as it arrives. */
export interface ChunkedBody {
  /** Gives the data in `bytes` to `onData`, and the index after the end of the body once it has come. Throws {@link MalformedAnswer}. */
  read(bytes: Buffer, from: number, onData: (data: Buffer) => void): number | undefined
}

const hexDigit = (byte: number): number => {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

export function createChunkedBody(sizeMax: number): ChunkedBody {
  let state: State = 'size'
  let size = 0
  let digits = 0
  let extras = 0
  /** Of extensions, or a trailer. */
  let line = ''

  const fail = (what: string): never => {
    throw new MalformedAnswer(`the answer is no HTTP: ${what}`)
  }
  const expect = (byte: number, wanted: number, next: State): State =>
    byte === wanted ? next : fail('chunk')
  const sizeEnded = (byte: number): State => {
    if (digits === 0) fail('chunk size')
    if (byte === SEMICOLON) return extra(byte, 'extension')
    return byte === CR ? 'size end' : fail('chunk size')
  }
  const extra = (byte: number, next: State): State => {
    if (++extras > EXTRAS_MAX) fail('too much beside the data')
    line += String.fromCharCode(byte)
    return next
  }
  const lineEnded = (grammar: RegExp, next: State): State => {
    if (!grammar.test(line)) fail('a line beside the data')
    line = ''
    return next
  }

  const step = (byte: number): State | 'end' => {
    switch (state) {
      case 'size': {
        const digit = hexDigit(byte)
        if (digit === -1) return sizeEnded(byte)
        size = size * 16 + digit
        // Leading zeros are bounded as well.
        if (size > sizeMax || ++digits > 16) fail('chunk size')
        return 'size'
      }
      case 'extension':
        return byte === CR ? lineEnded(EXTENSIONS, 'size end') : extra(byte, 'extension')
      case 'size end':
        digits = 0
        return expect(byte, LF, size === 0 ? 'line' : 'data')
      case 'data CR':
        return expect(byte, CR, 'data LF')
      case 'data LF':
        return expect(byte, LF, 'size')
      case 'line':
        return byte === CR ? 'last LF' : extra(byte, 'trailer')
      case 'trailer':
        if (byte !== CR) return extra(byte, 'trailer')
        if (LENGTHS.test(line)) fail('a length after the body')
        return lineEnded(FIELD_LINE, 'trailer LF')
      case 'trailer LF':
        return expect(byte, LF, 'line')
      case 'last LF':
        return byte === LF ? 'end' : fail('line end')
      case 'data':
        return 'data'
    }
  }

  return {
    read(bytes, from, onData) {
      let at = from
      while (at < bytes.length) {
        if (state === 'data') {
          const end = Math.min(bytes.length, at + size)
          onData(bytes.subarray(at, end))
          size -= end - at
          at = end
          if (size === 0) state = 'data CR'
          continue
        }
        const next = step(bytes[at++] ?? 0)
        if (next === 'end') return at
        state = next
      }
      return undefined
    },
  }
}
