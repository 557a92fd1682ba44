import { Fault, type HttpClient, isObject } from '../../../shared/platform/index.ts'
import { AuthRefusal } from '../errors.ts'

const TIMEOUT_MS = 5_000
const LENGTH_MAX = 200
/** Control characters, and those that turn the direction of writing: a name is shown to a person who is asked for money. */
const UNSHOWABLE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

const missing = (reason: string, cause?: unknown) =>
  new AuthRefusal('client_without_name', { cause, details: { reason } })

async function fetchDocument(http: HttpClient, walletAddress: string): Promise<unknown> {
  try {
    const { status, body } = await http.request({
      method: 'GET',
      url: walletAddress,
      headers: { accept: 'application/json' },
      timeoutMs: TIMEOUT_MS,
      redirectsMax: 3,
    })
    return status === 200 ? JSON.parse(body.toString('utf8')) : undefined
  } catch (error) {
    if (error instanceof Fault || error instanceof SyntaxError)
      throw missing('wallet_address_unavailable', error)
    throw error
  }
}

/**
 * What a client calls itself: the public name of its wallet address, fetched through the guarded client, as it can be shown.
 * Throws {@link AuthRefusal} for a wallet without one: nobody is asked to agree to something nameless.
 */
export async function getClientName(http: HttpClient, walletAddress: string): Promise<string> {
  const document = await fetchDocument(http, walletAddress)
  if (!isObject(document)) throw missing('wallet_address_unavailable')
  const { publicName } = document
  if (typeof publicName !== 'string') throw missing('public_name_missing')
  const name = publicName.toWellFormed().replace(UNSHOWABLE, '').trim()
  if (name === '') throw missing('public_name_missing')
  return [...name].slice(0, LENGTH_MAX).join('')
}
