import { Fault, type HttpClient, isObject } from '../../../shared/platform/index.ts'
import { AuthRefusal } from '../errors.ts'

const TIMEOUT_MS = 5_000
const LENGTH_MAX = 200
/**
 * A name is shown to a person who is asked for money: control characters, those that turn the direction of writing and those
 * that nobody sees are left out, but for three that scripts and emoji are joined with.
 */
const UNSHOWABLE =
  /(?!\u200c|\u200d|\ufe0f)[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800]/gu
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u

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
  if (!VISIBLE.test(name)) throw missing('public_name_missing')
  return [...name].slice(0, LENGTH_MAX).join('')
}
