const UINT64_MAX = 2n ** 64n - 1n
const isUint64 = (text: string) => /^\d{1,20}$/.test(text) && BigInt(text) <= UINT64_MAX

/** Formats of the specifications that JSON Schema does not know. */
export const ownFormats = { uint64: isUint64 }
