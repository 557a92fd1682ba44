import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { compiledFile } from './compiled.ts'
import { mapStackTraces } from './stack-traces.ts'

type Exports = Record<string, unknown>
/** What the text of a script evaluates to (`to-scripts.ts`). */
type Body = (require: Load, importing: (name: string) => Promise<Exports>, url: string) => Exports
export type Load = (name: string) => Exports

function readCompiled(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

/**
 * Loads the scripts beside an entry, each once, with V8's code of them where it is there. The code is a shortcut and nothing else: V8
 * holds it against its own version, its flags and the script's length, and compiles the script when it does not fit. A script is named by
 * its content, so that its code is that of no other text.
 */
export function scriptsBeside(entry: string, joined: string): Load {
  const folder = fileURLToPath(new URL('.', entry))
  /** By name; nothing of one that is still being evaluated. */
  const loaded = new Map<string, Exports | undefined>()
  if (process.sourceMapsEnabled) mapStackTraces(folder)
  const read = (name: string): Exports => {
    const bare = name.replace('./', '').replace('.mjs', '.js')
    const filename = folder + bare
    const cachedData = readCompiled(folder + compiledFile(bare))
    // ASCII, as esbuild writes it.
    const script = new Script(readFileSync(filename, 'latin1'), {
      filename,
      ...(cachedData && { cachedData }),
    })
    const body = script.runInThisContext() as Body
    return body(load, importing, entry)
  }
  const load: Load = (name) => {
    if (!name.startsWith('./')) return createRequire(entry)(name) as Exports
    const known = loaded.get(name)
    if (known) return known
    if (loaded.has(name)) throw new Error(`${name} imports itself`)
    loaded.set(name, undefined)
    const exports = read(name)
    loaded.set(name, exports)
    return exports
  }
  const importing = async (name: string): Promise<Exports> => load(name)
  for (const [name, exports] of Object.entries(read(joined))) loaded.set(name, exports as Exports)
  return load
}
