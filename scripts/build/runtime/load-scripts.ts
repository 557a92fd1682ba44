import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { compiledFile } from './compiled.ts'
import { mapStackTraces } from './stack-traces.ts'

type Exports = Record<string, unknown>
/** What the text of a script evaluates to (`to-scripts.ts`). */
type Body = (exports: Exports, require: Load, module: { exports: Exports }, url: string) => void
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
export function scriptsBeside(entry: string): Load {
  const folder = fileURLToPath(new URL('.', entry))
  const loaded = new Map<string, { exports: Exports }>()
  if (process.sourceMapsEnabled) mapStackTraces(folder)
  const load: Load = (name) => {
    if (!name.startsWith('./')) return createRequire(entry)(name) as Exports
    const known = loaded.get(name)
    if (known) return known.exports
    const module = { exports: {} }
    loaded.set(name, module)
    const bare = name.slice('./'.length)
    const filename = folder + bare
    const cachedData = readCompiled(folder + compiledFile(bare))
    // ASCII, as esbuild writes it.
    const script = new Script(readFileSync(filename, 'latin1'), {
      filename,
      ...(cachedData && { cachedData }),
    })
    const body = script.runInThisContext() as Body
    body(module.exports, load, module, entry)
    return module.exports
  }
  return load
}
