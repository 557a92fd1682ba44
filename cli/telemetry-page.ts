import { type CatalogEntry, catalog } from '../shared/telemetry/index.ts'

const BEGIN = '<!-- table: npm run docs:telemetry -->'
const END = '<!-- end of table -->'

const escaped = (text: string) => text.replaceAll('|', '\\|')

const labelsOf = ({ labels = {}, fixed = {} }: CatalogEntry): string =>
  [
    ...Object.entries(labels).map(([name, about]) => `\`${name}\`: ${about}`),
    ...Object.entries(fixed).map(([name, value]) => `\`${name}\` = \`${value}\``),
  ].join('; ')

const unitOf = (name: string, { kind, exposedAs }: CatalogEntry): string => {
  if (kind === 'histogram') return 'ms'
  if (/_seconds(_total)?$/.test(name)) return 's'
  if (/_bytes$/.test(name)) return 'bytes'
  if (/amount/.test(name) && exposedAs === undefined && !/missing/.test(name)) return '$0.0001'
  return ''
}

function table(): string {
  const rows = Object.entries<CatalogEntry>(catalog).map(
    ([name, entry]) =>
      `| \`${name}\` | ${entry.kind} | ${unitOf(name, entry)} | ${escaped(labelsOf(entry))} | ${escaped(entry.about)} |`,
  )
  return ['| name | kind | unit | labels | is |', '|---|---|---|---|---|', ...rows].join('\n')
}

/** docs/telemetry.md with its table as the catalogue has it. */
export function telemetryPage(page: string): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin === -1 || end < begin) throw new Error('docs/telemetry.md has no place for its table')
  return `${page.slice(0, begin)}${BEGIN}\n${table()}\n${page.slice(end)}`
}
