// A symbol, because what comes from outside can have members of any name, but none that is a symbol.
const markup = Symbol('markup')

/** Markup that is safe to send: made by {@link html} alone. */
export interface Html {
  readonly [markup]: string
}

type Value = string | Html | readonly Html[] | undefined

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? '')

const isHtml = (value: object): value is Html => markup in value

function markupOf(value: Value): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map(markupOf).join('')
  return typeof value === 'object' && isHtml(value) ? value[markup] : escapeHtml(String(value))
}

/** A template whose values are escaped, unless they are such templates themselves. Attributes must stand in quotes. */
export const html = (parts: TemplateStringsArray, ...values: readonly Value[]): Html => ({
  [markup]: parts.map((part, index) => part + markupOf(values[index])).join(''),
})

export const toText = (page: Html): string => page[markup]
