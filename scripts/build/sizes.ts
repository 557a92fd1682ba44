import { basename } from 'node:path'
import type { Metafile } from 'esbuild'

/** What a function on Lambda may read before it can answer. */
export const ENTRY_KIB_MAX = 700

/** Bytes of an output and of all that it imports at once: what is loaded before anything runs. */
export function loadedBytes({ outputs }: Metafile, entry: string): number {
  const names = new Set<string>()
  const visit = (name: string) => {
    const output = outputs[name]
    if (!output || names.has(name)) return
    names.add(name)
    for (const { path, kind } of output.imports) if (kind === 'import-statement') visit(path)
  }
  visit(entry)
  return [...names].reduce((sum, name) => sum + (outputs[name]?.bytes ?? 0), 0)
}

export const outputNamed = ({ outputs }: Metafile, name: string): string | undefined =>
  Object.keys(outputs).find((path) => basename(path) === name)
