import { type Html, html } from './html.ts'

const INLINE =
  /`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])([*_])([^*_\s][^*_]*)\3(?![\w*])|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g

/** Code, bold, emphasis and links; everything else is text. */
export function inlineMarkdown(text: string): Html[] {
  const parts: Html[] = []
  let end = 0
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, bold, , emphasis, label, url] = match
    parts.push(html`${text.slice(end, match.index)}`)
    if (code !== undefined) parts.push(html`<code>${code}</code>`)
    else if (bold !== undefined) parts.push(html`<strong>${bold}</strong>`)
    else if (emphasis !== undefined) parts.push(html`<em>${emphasis}</em>`)
    else parts.push(html`<a href="${url}">${label}</a>`)
    end = match.index + whole.length
  }
  parts.push(html`${text.slice(end)}`)
  return parts
}

const ITEM = /^\s*(?:[-*]|(\d+)\.)\s+/

/** Lines that belong together: a paragraph, or the items of one list. */
interface Block {
  kind: 'text' | 'ul' | 'ol'
  lines: string[]
}

function blocksOf(text: string): Block[] {
  const blocks: Block[] = []
  let open: Block | undefined
  for (const line of text.split('\n')) {
    const item = ITEM.exec(line)
    const kind = item ? (item[1] === undefined ? 'ul' : 'ol') : 'text'
    if (line.trim() === '') open = undefined
    else if (open?.kind === kind) open.lines.push(line.replace(ITEM, '').trim())
    else {
      open = { kind, lines: [line.replace(ITEM, '').trim()] }
      blocks.push(open)
    }
  }
  return blocks
}

/** The part of Markdown that the specifications use: paragraphs, lists, and what is inline. */
export const markdown = (text: string): Html[] =>
  blocksOf(text).map(({ kind, lines }) => {
    const items = lines.map((line) => html`<li>${inlineMarkdown(line)}</li>`)
    if (kind === 'ul') return html`<ul>${items}</ul>`
    if (kind === 'ol') return html`<ol>${items}</ol>`
    return html`<p>${inlineMarkdown(lines.join(' '))}</p>`
  })
