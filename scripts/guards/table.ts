import type { ThreatTable } from './guard.ts'

const cell = (text: string) => text.replaceAll('|', '\\|')

function row(threat: string, guard: ThreatTable['threats'][number]['guards'][number]): string {
  const { name, file, test } = guard
  return `| ${cell(threat)} | ${cell(name)} (\`${file}\`) | \`${test.file}\`: ${cell(test.name)} |`
}

/** The tables of docs/security-tests.md: the threat is named in its first row only. */
export const renderTables = (tables: readonly ThreatTable[]): string =>
  tables
    .map(({ title, about, threats }) => {
      const rows = threats.flatMap((threat) =>
        threat.guards.map((guard, index) => row(index === 0 ? threat.name : '', guard)),
      )
      return [`## ${title}`, '', about, '', '| threat | guard | test |', '|---|---|---|', ...rows, ''].join(
        '\n',
      )
    })
    .join('\n')

const BEGIN = '<!-- begin: `node scripts/guards/write-table.ts` writes what follows -->'

/** The page with its tables replaced. Throws when the page does not say where they begin. */
export function withTables(page: string, tables: readonly ThreatTable[]): string {
  const [head, rest] = page.split(BEGIN)
  if (head === undefined || rest === undefined)
    throw new Error('the page does not say where its tables begin')
  return `${head}${BEGIN}\n\n${renderTables(tables)}`
}
