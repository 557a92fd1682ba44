import { isUuid } from '../platform/index.ts'
import { ReceiverRefusal } from './errors.ts'

export interface ReceiverUrl {
  url: string
  id: string
  /** The tenant segment before the collection, where there is one: `…/<tenant>/incoming-payments/<id>`. */
  tenantId?: string
  /** Everything before `/incoming-payments/`. One authorization server answers for all below it. */
  base: string
  host: string
}

const COLLECTION = 'incoming-payments'
/** As for wallet addresses: longer ones do not fit the indexes by which payments and grants are found. */
export const URL_LENGTH_MAX = 2048

/** Its parts; `undefined` when it is not the URL of an incoming payment. */
export function readReceiverUrl(text: string): ReceiverUrl | undefined {
  const url = text.length <= URL_LENGTH_MAX && URL.canParse(text) ? new URL(text) : undefined
  const segments = url?.pathname.split('/').filter((segment) => segment !== '') ?? []
  const id = segments.at(-1)
  const isPlain = url && url.search === '' && url.hash === '' && url.username === '' && url.password === ''
  if (!isPlain || !/^https?:$/.test(url.protocol) || segments.at(-2) !== COLLECTION || !isUuid(id))
    return undefined
  const tenant = segments.at(-3)
  return {
    url: text,
    id: id.toLowerCase(),
    ...(isUuid(tenant) && { tenantId: tenant.toLowerCase() }),
    base: text.slice(0, text.lastIndexOf(`/${COLLECTION}/`)),
    host: url.host,
  }
}

/** Reads the URL of an incoming payment. Throws {@link ReceiverRefusal} `invalid_receiver_url`. */
export function parseReceiverUrl(text: string): ReceiverUrl {
  const receiver = readReceiverUrl(text)
  if (!receiver)
    throw new ReceiverRefusal('invalid_receiver_url', {
      message: 'a receiver is the URL of an incoming payment: https://…/incoming-payments/<id>',
    })
  return receiver
}

/**
 * Whether the URL is one that this node could have given out. Hosts are compared, not schemes: ids are https also where the
 * transport is http. A foreign host with a local id is foreign (reference: A15).
 */
export function isOwnUrl(receiver: ReceiverUrl, openPaymentsUrl: string): boolean {
  const own = new URL(openPaymentsUrl)
  if (receiver.host !== own.host) return false
  const prefix = own.pathname.replace(/\/+$/, '')
  const expected = receiver.tenantId === undefined ? prefix : `${prefix}/${receiver.tenantId}`
  return new URL(receiver.base).pathname.replace(/\/+$/, '').toLowerCase() === expected.toLowerCase()
}

/** The id of the incoming payment that the URL names. Throws {@link ReceiverRefusal} `invalid_receiver_url`. */
export const incomingPaymentIdOf = (url: string): string => parseReceiverUrl(url).id
