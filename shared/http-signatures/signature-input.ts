import { SignatureRefusal } from './errors.ts'
import { parseBytes, parseInnerList, splitDictionary } from './structured-fields.ts'

/** Header names in lower case, as Node gives them. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>

export interface ParsedSignature {
  label: string
  keyId: string
  /** Seconds since the epoch. */
  created?: number
  expires?: number
  algorithm?: string
  nonce?: string
  /** Names of covered components, each once. */
  components: readonly string[]
  /** The text of `@signature-params`, as received. */
  params: string
  /** 64 bytes. */
  signature: Buffer
}

const COMPONENTS_MAX = 32
const COMPONENT = /^(@[a-z-]+|[!#$%&'*+\-.^_`|~0-9a-z]+)$/

const malformed = (message: string) => new SignatureRefusal('signature_malformed', { message })

/** A header's value as a signature covers it: repeated fields joined, surrounding blanks gone (RFC 9421 §2.1). */
export function headerValue(headers: RequestHeaders, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  if (value === undefined) return undefined
  return (Array.isArray(value) ? value.map((item) => item.trim()).join(', ') : value).trim()
}

/** `sig1`, which everyone in the field uses, or else the only one there is. */
function chooseLabel(inputs: Map<string, string>): string {
  if (inputs.has('sig1')) return 'sig1'
  const [label] = inputs.keys()
  if (label === undefined || inputs.size > 1) throw malformed('several signatures and none is sig1')
  return label
}

function componentNames(items: readonly (readonly [unknown, ReadonlyMap<string, unknown>])[]): string[] {
  if (items.length > COMPONENTS_MAX) throw malformed('too many covered components')
  const names = items.map(([name, parameters]) => {
    if (typeof name !== 'string' || !COMPONENT.test(name))
      throw malformed('a covered component must be named in lower case')
    if (parameters.size > 0)
      throw new SignatureRefusal('component_unsupported', {
        message: 'component parameters are not supported',
      })
    return name
  })
  if (new Set(names).size !== names.length) throw malformed('a component is covered twice')
  return names
}

/** Reads Signature and Signature-Input. Says nothing yet about whether the signature is right or sufficient. */
export function parseSignatureInput(headers: RequestHeaders): ParsedSignature {
  const input = headerValue(headers, 'signature-input')
  const signatures = headerValue(headers, 'signature')
  if (!input || !signatures)
    throw new SignatureRefusal('signature_missing', { message: 'the request is not signed' })
  const inputs = splitDictionary(input, 'Signature-Input')
  const label = chooseLabel(inputs)
  const params = inputs.get(label) ?? ''
  const [items, parameters] = parseInnerList(params, 'Signature-Input')
  const signature = parseBytes(splitDictionary(signatures, 'Signature').get(label) ?? '')
  if (signature?.length !== 64) throw malformed('a signature must be 64 bytes')

  const time = (name: string) => {
    const value = parameters.get(name)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isSafeInteger(value))
      throw malformed(`${name} must be an integer`)
    return value
  }
  const string = (name: string) => {
    const value = parameters.get(name)
    if (value === undefined) return undefined
    if (typeof value !== 'string' || value === '') throw malformed(`${name} must be a string`)
    return value
  }
  const keyId = string('keyid')
  if (keyId === undefined)
    throw new SignatureRefusal('keyid_missing', { message: 'the signature does not name its key' })
  const created = time('created')
  const expires = time('expires')
  const algorithm = string('alg')
  const nonce = string('nonce')
  return {
    label,
    keyId,
    ...(created !== undefined && { created }),
    ...(expires !== undefined && { expires }),
    ...(algorithm !== undefined && { algorithm }),
    ...(nonce !== undefined && { nonce }),
    components: componentNames(items),
    params,
    signature,
  }
}
