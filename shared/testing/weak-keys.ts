const P = 2n ** 255n - 19n
/** y of a point of order 8. */
const EIGHTH = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n

const encode = (y: bigint, sign: 0 | 1): string =>
  Buffer.from((y | (BigInt(sign) << 255n)).toString(16).padStart(64, '0'), 'hex')
    .reverse()
    .toString('base64url')

/** `x` of Ed25519 keys that anybody can sign for: every point of small order in every encoding, canonical or not. */
export const WEAK_KEYS: readonly string[] = [0n, 1n, P - 1n, EIGHTH, P - EIGHTH, P, P + 1n].flatMap((y) => [
  encode(y, 0),
  encode(y, 1),
])

/** R is the neutral point and S is zero: under a weak key this fits every text, or every eighth. */
export const fitsWeakKeys = (): Buffer => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])
