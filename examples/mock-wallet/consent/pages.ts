import type { GrantWords } from './grant-words.ts'
import { type Html, html, toText } from './html.ts'
import type { ConsentErrorCode, Interaction, RequestedGrant } from './identity-provider.ts'
import { STYLE } from './style.ts'

const CLIENT_NAME_MAX = 100
/** Control characters and marks that turn the direction of writing: a name is to be read as it is. */
const UNREADABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** The style element's text is the very text whose hash the security policy has. */
const page = (bankName: string, title: string, body: Html): string =>
  `<!doctype html>\n${toText(html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · ${bankName}</title>
`)}<style>${STYLE}</style>
${toText(html`</head>
<body><main><article>
<p class="bank">${bankName}</p>
${body}
</article></main></body>
</html>
`)}`

const nameOf = ({ client }: RequestedGrant): string => {
  const name = (client.name ?? '').replace(UNREADABLE, ' ').trim()
  const letters = [...name]
  if (letters.length === 0) return client.uri
  return letters.length > CLIENT_NAME_MAX ? `${letters.slice(0, CLIENT_NAME_MAX).join('')}…` : name
}

export interface ConsentView {
  bankName: string
  interaction: Interaction
  grant: RequestedGrant
  words: GrantWords
  /** Wallet addresses in the grant that this bank does not hold: it can then only be rejected. */
  strangers: readonly string[]
  csrfToken: string
}

export function consentPage(view: ConsentView): string {
  const { grant, words, interaction, strangers } = view
  const acceptable = strangers.length === 0
  return page(
    view.bankName,
    'Your consent',
    html`<h1><bdi>${nameOf(grant)}</bdi> asks for your consent</h1>
<p class="who">It is known to us as <bdi class="address">${grant.client.uri}</bdi></p>
<h2>It wants to</h2>
<ul>
${words.rights.map((right) => html`<li>${right}</li>\n`)}</ul>
${words.warnings.map((warning) => html`<p class="warning">${warning}</p>\n`)}
${strangers.map((url) => html`<p class="warning"><bdi class="address">${url}</bdi> is no account at this bank, so you cannot agree to this.</p>\n`)}
${words.returnsTo && html`<p class="next">Whatever you decide, you are then sent to <bdi class="address">${words.returnsTo}</bdi></p>`}
<form method="post" action="/consent">
<input type="hidden" name="interactId" value="${interaction.interactId}">
<input type="hidden" name="nonce" value="${interaction.nonce}">
<input type="hidden" name="csrf" value="${view.csrfToken}">
<div class="choice">
<button name="choice" value="reject">Reject</button>
${acceptable ? html`<button class="accept" name="choice" value="accept">Accept</button>` : undefined}
</div>
</form>`,
  )
}

/** `strange`: nobody can agree to what cannot be shown. `failed`: anything unforeseen. */
export type NoticeCode = ConsentErrorCode | 'strange' | 'failed'

const NOTICES: Record<NoticeCode, { status: number; title: string; text: string }> = {
  unknown: {
    status: 404,
    title: 'We do not know this request',
    text: 'The address is not complete, or the request was withdrawn. Go back to where you came from and start again.',
  },
  expired: {
    status: 410,
    title: 'This request is no longer open',
    text: 'It is too old, or it was withdrawn. Nothing was agreed to. Go back to where you came from and start again.',
  },
  decided: {
    status: 409,
    title: 'You have already decided',
    text: 'Your first answer stands. There is nothing more to do here.',
  },
  out_of_date: {
    status: 403,
    title: 'This page is out of date',
    text: 'Nothing was decided. The request was opened again elsewhere, or your browser sends no cookies. Look at it once more.',
  },
  strange: {
    status: 422,
    title: 'We cannot explain this request',
    text: 'It asks for something that this bank does not know, so you cannot agree to it. Nothing was decided.',
  },
  unavailable: {
    status: 502,
    title: 'We cannot show this request now',
    text: 'Our authorization server does not answer. Nothing was decided. Try again in a minute.',
  },
  failed: {
    status: 500,
    title: 'Something went wrong',
    text: 'That is our fault. Try again in a minute.',
  },
}

export interface Notice {
  status: number
  body: string
}

/** What a person reads instead of the request; `next` is where to go from there. */
export function noticePage(
  bankName: string,
  code: NoticeCode,
  next?: { href: string; text: string },
): Notice {
  const { status, title, text } = NOTICES[code]
  const body = html`<h1>${title}</h1>
<p>${text}</p>
${next && html`<p><a href="${next.href}">${next.text}</a></p>`}`
  return { status, body: page(bankName, title, body) }
}
