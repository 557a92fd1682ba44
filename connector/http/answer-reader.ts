import { type AnswerHead, MalformedAnswer, parseAnswerHead } from './answer-head.ts'
import { type ChunkedBody, createChunkedBody } from './chunked-body.ts'

export interface Answer {
  head: AnswerHead
  body: Buffer
}

/** Reads the answers of one connection, one after the other. */
export interface AnswerReader {
  /**
   * The answer when it ends with these bytes, of which nothing is kept. Throws {@link MalformedAnswer}, also for bytes after its end:
   * nobody has asked for them. After a throw the reader is of no use.
   */
  read(bytes: Buffer): Answer | undefined
  /** The other side has closed: an answer whose end is marked by that, or undefined when it is not whole. */
  end(): Answer | undefined
}

const HEAD_SIZE_MAX = 16 * 1024
const HEAD_END = Buffer.from('\r\n\r\n')
const NOTHING = Buffer.alloc(0)

export class AnswerTooLarge extends MalformedAnswer {
  constructor() {
    super('the peer answered too much')
  }
}

export function createAnswerReader(bodySizeMax: number): AnswerReader {
  let unread = NOTHING
  let head: AnswerHead | undefined
  let chunked: ChunkedBody | undefined
  /** The first `size` bytes of it have come. */
  let body = NOTHING
  let size = 0
  /** Of heads that only announced the answer. */
  let announcedSize = 0
  // Most answers begin like the one before.
  let knownBytes = NOTHING
  let knownHead: AnswerHead | undefined

  const keep = (data: Buffer): void => {
    const end = size + data.length
    if (end > bodySizeMax) throw new AnswerTooLarge()
    // Most bodies come at once. In pieces they would take a hundred bytes for each piece.
    if (end > body.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, 2 * body.length))
      body.copy(larger, 0, 0, size)
      body = larger
    }
    data.copy(body, size)
    size = end
  }

  const headOf = (bytes: Buffer): AnswerHead => {
    if (knownHead && knownBytes.equals(bytes)) return knownHead
    knownHead = parseAnswerHead(bytes.toString('latin1'))
    knownBytes = Buffer.from(bytes)
    return knownHead
  }

  const finish = (): Answer | undefined => {
    if (!head) return undefined
    const answer = { head, body: size === body.length ? body : body.subarray(0, size) }
    head = undefined
    chunked = undefined
    body = NOTHING
    size = 0
    announcedSize = 0
    return answer
  }

  /** Index of what is to be read next: after the head, once it has come. Heads below 200 only announce the answer. */
  const readHead = (bytes: Buffer): number => {
    for (let from = 0; ; ) {
      const end = bytes.indexOf(HEAD_END, from)
      if (announcedSize + (end === -1 ? bytes.length : end) - from > HEAD_SIZE_MAX)
        throw new MalformedAnswer('the headers are too large')
      if (end === -1) return from
      const found = headOf(bytes.subarray(from, end))
      const start = end + HEAD_END.length
      if (found.status === 101) throw new MalformedAnswer('the peer changed the protocol')
      if (found.status < 200) {
        if (!found.isPersistent) throw new MalformedAnswer('nothing follows an announcement of this kind')
        announcedSize += start - from
        from = start
        continue
      }
      head = found
      if (head.framing.kind === 'length' && head.framing.length > bodySizeMax) throw new AnswerTooLarge()
      if (head.framing.kind === 'chunked') chunked = createChunkedBody(bodySizeMax)
      return start
    }
  }

  /** Index after the body, once it has come. */
  const readBody = (bytes: Buffer, from: number, { framing }: AnswerHead): number | undefined => {
    if (chunked) return chunked.read(bytes, from, keep)
    const end =
      framing.kind === 'length' ? Math.min(bytes.length, from + framing.length - size) : bytes.length
    if (end > from) keep(bytes.subarray(from, end))
    return framing.kind === 'length' && size === framing.length ? end : undefined
  }

  return {
    read(given) {
      let bytes = given
      let at: number | undefined = 0
      if (!head) {
        bytes = unread.length > 0 ? Buffer.concat([unread, given]) : given
        at = readHead(bytes)
        unread = head ? NOTHING : Buffer.from(bytes.subarray(at))
      }
      if (!head) return undefined
      at = readBody(bytes, at, head)
      if (at === undefined) return undefined
      if (at < bytes.length) throw new MalformedAnswer('bytes after the end of the answer')
      return finish()
    },
    end: () => (head?.framing.kind === 'until_close' ? finish() : undefined),
  }
}
