/** Markup that is safe to send: only {@link html} and {@link rawHtml} make it. */
export interface Html {
  readonly markup: string
}

type Part = Html | string | number | undefined | false | readonly Part[]

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeText = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character] ?? '')

function markupOf(part: Part): string {
  if (part === undefined || part === false) return ''
  if (typeof part === 'string') return escapeText(part)
  if (typeof part === 'number') return String(part)
  return 'markup' in part ? part.markup : part.map(markupOf).join('')
}

/** Markup with values in it: texts are escaped, markup is kept, lists are joined, absent values are nothing. */
export const html = (parts: TemplateStringsArray, ...values: Part[]): Html => ({
  markup: parts.map((part, index) => part + markupOf(values[index])).join(''),
})

/** Markup of our own that is no template. */
export const rawHtml = (markup: string): Html => ({ markup })
