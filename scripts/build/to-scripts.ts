import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Metafile, type OutputFile, transform } from 'esbuild'
import { builtinsWhenNeeded } from './builtins.ts'

const RUNTIME = fileURLToPath(new URL('./runtime', import.meta.url))

/**
 * An entry whose static imports are made when it runs: so it holds nothing but its own few lines, and everything else becomes chunks.
 */
export const importsWhenRun = (text: string): string =>
  text.replace(
    /(?<=^|; )import (type )?\{([^}]*)\} from ('[^']+')/gm,
    (_whole, isType, list: string, source) => {
      const names = list
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '' && !item.startsWith('type '))
      return isType || names.length === 0
        ? ''
        : `const { ${names.map((name) => name.replace(/ as /, ': ')).join(', ')} } = await import(${source})`
    },
  )

const CHUNK = /"(\.\/chunk-\w+)\.mjs"/g

/** The bundler's chunk as an expression: a function that a loader calls. */
async function toScript(chunk: OutputFile, map: OutputFile): Promise<{ code: string; map: string }> {
  const inlineMap = Buffer.from(map.text).toString('base64')
  const text = chunk.text.replace(
    /\/\/# sourceMappingURL=.*\n?$/,
    `//# sourceMappingURL=data:application/json;base64,${inlineMap}`,
  )
  const script = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minify: true,
    define: { 'import.meta.url': '__url' },
    // So that they are made by the loader, too.
    supported: { 'dynamic-import': false },
    banner: "(function(exports,require,module,__url){'use strict';",
    footer: '})',
    legalComments: 'none',
    sourcemap: 'external',
    sourcesContent: false,
    logLevel: 'error',
  })
  return { code: script.code.replace(CHUNK, '"$1.js"'), map: script.map }
}

/** One module with all that it imports of `runtime`. */
async function withRuntime(from: Pick<BuildOptions, 'stdin' | 'entryPoints'>): Promise<string> {
  const { outputFiles } = await build({
    ...from,
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    plugins: [builtinsWhenNeeded()],
    logLevel: 'error',
  })
  return outputFiles?.[0]?.text ?? ''
}

/** What the bundler has put in front by itself: its own helpers. */
const toLoads = (text: string): string =>
  text
    .replace(
      /import\s*\{([^}]*)\}\s*from\s*("\.\/chunk-\w+)\.mjs"/g,
      (_whole, list: string, name: string) => {
        return `const {${list.replace(/ as /g, ': ')}} = __load(${name}.js")`
      },
    )
    .replace(/import\s*(?:\(("\.\/chunk-\w+)\.mjs"\)|("\.\/chunk-\w+)\.mjs")/g, (_whole, made, bare) => {
      return `__load(${made ?? bare}.js")`
    })

const toEntry = (entry: OutputFile): Promise<string> =>
  withRuntime({
    stdin: {
      contents: `import { scriptsBeside } from './load-scripts.ts'
const __load = scriptsBeside(import.meta.url)
${toLoads(entry.text.replace(/\/\/# sourceMappingURL=.*/, ''))}`,
      resolveDir: RUNTIME,
      loader: 'js',
    },
  })

/**
 * Writes what the bundler has made of a role as scripts behind entries that stay modules. V8 can be given the code of a script with all of
 * its functions; of a module Node keeps the outermost level only, so that each function is compiled when it is first called.
 */
export async function writeScripts(
  outdir: string,
  files: readonly OutputFile[],
  metafile: Metafile,
): Promise<void> {
  const maps = new Map(files.map((file) => [file.path, file]))
  const written = Object.entries(metafile.outputs).map(async ([name, output]) => {
    const file = maps.get(resolve(name))
    const map = maps.get(`${resolve(name)}.map`)
    if (!file || !map) return
    if (output.entryPoint !== undefined && !basename(name).startsWith('chunk-')) {
      const text = await toEntry(file)
      writeFileSync(join(outdir, basename(name)), text)
      // They are made at once.
      for (const made of output.imports) made.kind = 'import-statement'
      output.bytes = text.length
    } else {
      const script = await toScript(file, map)
      const target = join(outdir, basename(name, '.mjs'))
      writeFileSync(`${target}.js`, script.code)
      writeFileSync(`${target}.js.map`, script.map)
      output.bytes = script.code.length
    }
  })
  await Promise.all(written)
  writeFileSync(
    join(outdir, 'compile.mjs'),
    await withRuntime({ entryPoints: [join(RUNTIME, 'compile.ts')] }),
  )
  execFileSync(process.execPath, [join(outdir, 'compile.mjs')], { env: {} })
}
