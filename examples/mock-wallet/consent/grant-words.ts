import { type GrantLimits, parseGrantLimits } from '../../../shared/grant-limits/index.ts'
import { amountInWords } from '../../amount-words.ts'
import { type Html, html } from './html.ts'
import type { RequestedAccess, RequestedGrant } from './identity-provider.ts'
import { intervalInWords } from './interval-words.ts'

/** What a client asks for, in words that a customer understands. */
export interface GrantWords {
  /** What it may do, one line each. */
  rights: Html[]
  /** What a person should not overlook. */
  warnings: Html[]
  /** Wallet addresses that the grant is about: they must be the customer's. */
  addresses: string[]
  /** The site that the customer is sent to in the end, if to any. */
  returnsTo?: string
}

/** Something in a grant that this wallet has no words for: nobody can agree to what is not shown. */
export class UnknownAccess extends Error {
  constructor(what: string, options?: { cause?: unknown }) {
    super(`no words for ${what}`, options)
    this.name = 'UnknownAccess'
  }
}

/** Of an access item: what it lets a client do, what it lets it see. */
interface Scope {
  may(action: string): boolean
  sees: 'all' | 'own' | 'nothing'
}

const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  'incoming-payment': ['create', 'complete', 'read', 'read-all', 'list', 'list-all'],
  'outgoing-payment': ['create', 'read', 'read-all', 'list', 'list-all'],
  quote: ['create', 'read', 'read-all'],
}

const strong = (text: string): Html => html`<strong>${text}</strong>`
/** Addresses come from outside: their direction of writing must not run into the sentence around them. */
const address = (url: string): Html => html`<bdi class="address">${url}</bdi>`

/** Throws {@link UnknownAccess}. */
export function describeGrant(grant: Pick<RequestedGrant, 'access' | 'subject' | 'finish'>): GrantWords {
  const words = grant.access.map(describeAccess)
  const subjects = (grant.subject?.sub_ids ?? []).map(({ id, format }) => {
    if (format !== 'uri') throw new UnknownAccess(`subjects by ${format}`)
    return id
  })
  const identifiers = grant.access.flatMap(({ identifier }) => (identifier === undefined ? [] : [identifier]))
  return {
    rights: [
      ...subjects.map((id) => html`Know ${strong('who you are')}: the holder of ${address(id)}`),
      ...words.flatMap(({ rights }) => rights),
    ],
    warnings: words.flatMap(({ warnings }) => warnings),
    addresses: [...new Set([...subjects, ...identifiers])],
    ...(grant.finish && { returnsTo: siteOf(grant.finish.uri) }),
  }
}

/** Without path and query, which could be so long that nobody sees the site; its name in ASCII, where nothing looks alike. */
function siteOf(uri: string): string {
  const { protocol, origin } = URL.canParse(uri) ? new URL(uri) : {}
  if (origin === undefined || (protocol !== 'https:' && protocol !== 'http:'))
    throw new UnknownAccess('where the customer is sent in the end')
  return origin
}

type AccessWords = Pick<GrantWords, 'rights' | 'warnings'>

function describeAccess(access: RequestedAccess): AccessWords {
  const { type, actions } = access
  const known = Object.hasOwn(ACTIONS, type) ? ACTIONS[type] : undefined
  const strange = actions.find((action) => !known?.includes(action))
  if (!known || strange !== undefined) throw new UnknownAccess(`${type} ${strange ?? ''}`)
  // Limits are shown with payments alone; beside anything else they would go unseen.
  if (type !== 'outgoing-payment' && access.limits !== undefined) throw new UnknownAccess(`limits of ${type}`)
  const may = (action: string) => actions.includes(action)
  const own = may('read') || may('list') ? 'own' : 'nothing'
  const scope: Scope = { may, sees: may('read-all') || may('list-all') ? 'all' : own }
  if (type === 'outgoing-payment') return describeOutgoing(access, scope)
  const rights = type === 'quote' ? describeQuotes(access, scope) : describeIncoming(access, scope)
  return { rights, warnings: [] }
}

function describeOutgoing({ identifier, limits }: RequestedAccess, { may, sees }: Scope): AccessWords {
  if (identifier === undefined) throw new UnknownAccess('payments from any account')
  const from = address(identifier)
  const rights: Html[] = []
  const warnings: Html[] = []
  if (may('create')) {
    const parsed = parseLimits(limits)
    rights.push(describePaying(from, parsed))
    if (!parsed.debitAmount && !parsed.receiveAmount)
      warnings.push(html`There is no limit to how much it may pay from ${from}.`)
  }
  if (sees === 'all') rights.push(html`See ${strong('all payments')} from ${from}, whoever asked for them`)
  if (sees === 'own') rights.push(html`See the payments that it makes from ${from}`)
  return { rights, warnings }
}

function parseLimits(limits: unknown): GrantLimits {
  try {
    return limits === undefined ? {} : parseGrantLimits(limits)
  } catch (cause) {
    throw new UnknownAccess('limits', { cause })
  }
}

function describePaying(from: Html, limits: GrantLimits): Html {
  const { debitAmount, receiveAmount, receiver, interval } = limits
  const words = interval && intervalInWords(interval)
  const when = words && html`, ${words.when}`
  const only = receiver !== undefined ? html`, only to ${address(receiver)}` : undefined
  const often = strong(words?.often ?? 'in total')
  if (debitAmount)
    return html`Pay ${strong(`up to ${amountInWords(debitAmount)}`)} ${often} from ${from}${only}${when}`
  if (receiveAmount) {
    const most = strong(`up to ${amountInWords(receiveAmount)}`)
    return html`Pay from ${from} what it takes for ${most} ${often} to arrive${only}${when}`
  }
  return html`Pay ${strong('any amount')}, as often as it likes, from ${from}${only}${when}`
}

function describeIncoming({ identifier }: RequestedAccess, { may, sees }: Scope): Html[] {
  const to = identifier === undefined ? html`any account at this bank` : address(identifier)
  const rights: Html[] = []
  if (may('create')) rights.push(html`Ask for payments to ${to}`)
  if (may('complete')) rights.push(html`Close requests for payment to ${to}`)
  if (sees === 'all')
    rights.push(
      html`See ${strong('all requests for payment')} to ${to}, whoever made them, and what has arrived`,
    )
  if (sees === 'own') rights.push(html`See its own requests for payment to ${to}, and what has arrived`)
  return rights
}

function describeQuotes({ identifier }: RequestedAccess, { may, sees }: Scope): Html[] {
  const from = identifier === undefined ? undefined : html` from ${address(identifier)}`
  const rights: Html[] = []
  if (may('create')) rights.push(html`Ask what a payment${from} would cost`)
  if (sees === 'all')
    rights.push(
      html`See ${strong('everything that was asked')} about what payments${from} would cost, by whomever`,
    )
  if (sees === 'own') rights.push(html`See again what it was told about what a payment${from} would cost`)
  return rights
}
