import type { Random } from './random.ts'

/** Bytes that length prefixes, versions, types, digits and signs turn on. */
const TELLING = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x83, 0x84, 0xff, 0x0c, 0x0d, 0x0e, 0x2e, 0x30, 0x39]
const CHANGES_MAX = 4
const ADDED_MAX = 40
const NOISE_MAX = 300
/** One input in so many owes nothing to a packet. */
const NOISE_ONE_IN = 32
/** Above the largest packet and the largest body of a request. */
export const INPUT_LENGTH_MAX = 70_000

const noise = (random: Random, length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(length)
  for (let index = 0; index < length; index++) bytes[index] = random.below(256)
  return bytes
}

type Change = (bytes: Buffer, random: Random, others: readonly Buffer[]) => Buffer

const at = (bytes: Buffer, random: Random) => random.below(bytes.length)
const spliced = (bytes: Buffer, start: number, end: number, ...middle: Buffer[]) =>
  Buffer.concat([bytes.subarray(0, start), ...middle, bytes.subarray(end)])

const changes: readonly Change[] = [
  function flipBit(bytes, random) {
    const index = at(bytes, random)
    bytes[index] = (bytes[index] ?? 0) ^ (1 << random.below(8))
    return bytes
  },
  function setByte(bytes, random) {
    bytes[at(bytes, random)] = random.below(256)
    return bytes
  },
  function setTellingByte(bytes, random) {
    bytes[at(bytes, random)] = TELLING[random.below(TELLING.length)] ?? 0
    return bytes
  },
  function countByOne(bytes, random) {
    const index = at(bytes, random)
    bytes[index] = (bytes[index] ?? 0) + (random.below(2) === 0 ? 1 : -1)
    return bytes
  },
  function cut(bytes, random) {
    return bytes.subarray(0, at(bytes, random))
  },
  function remove(bytes, random) {
    const start = at(bytes, random)
    return spliced(bytes, start, Math.min(bytes.length, start + 1 + random.below(ADDED_MAX)))
  },
  function add(bytes, random) {
    const start = at(bytes, random)
    return spliced(bytes, start, start, noise(random, 1 + random.below(ADDED_MAX)))
  },
  function double(bytes, random) {
    const start = at(bytes, random)
    const end = Math.min(bytes.length, start + 1 + random.below(ADDED_MAX))
    return spliced(bytes, start, start, bytes.subarray(start, end))
  },
  function longLength(bytes, random) {
    const start = at(bytes, random)
    const size = 1 + random.below(5)
    return spliced(bytes, start, start + 1, Buffer.of(0x80 | size), noise(random, size))
  },
  /** The same length in more bytes than it needs. */
  function respellLength(bytes, random) {
    const start = at(bytes, random)
    const length = bytes.subarray(start, start + 1)
    const longer = random.below(2) === 0 ? Buffer.of(0x81) : Buffer.of(0x82, 0)
    return spliced(bytes, start, start + 1, longer, length)
  },
  function tailOfAnother(bytes, random, others) {
    const other = others[random.below(others.length)] ?? bytes
    return spliced(bytes, at(bytes, random), bytes.length, other.subarray(random.below(other.length)))
  },
  function pad(bytes, random) {
    return Buffer.concat([bytes, Buffer.alloc(random.below(2000), random.below(256))])
  },
]

/** Some valid bytes with a few changes; now and then only noise. The same for the same random numbers. */
export function mutate(corpus: readonly Buffer[], random: Random): Buffer {
  if (random.below(NOISE_ONE_IN) === 0) return noise(random, random.below(NOISE_MAX))
  let bytes = Buffer.from(corpus[random.below(corpus.length)] ?? Buffer.alloc(0))
  for (let left = 1 + random.below(CHANGES_MAX); left > 0 && bytes.length > 0; left--) {
    const change = changes[random.below(changes.length)]
    if (change) bytes = Buffer.from(change(bytes, random, corpus))
  }
  return bytes.subarray(0, INPUT_LENGTH_MAX)
}
