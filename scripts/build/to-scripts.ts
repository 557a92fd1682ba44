import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Metafile, type OutputFile, transform } from 'esbuild'
import { builtinsWhenNeeded } from './builtins.ts'

const RUNTIME = fileURLToPath(new URL('./runtime', import.meta.url))

/** How a role is bundled: as chunks that its entries share, under the names by which {@link writeScripts} tells them from entries. */
export const AS_CHUNKS = {
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunk-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minify: true,
  sourcemap: 'linked',
  metafile: true,
  logLevel: 'error',
} as const satisfies BuildOptions

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

const IMPORT = /\bimport\s*(?:\{([^}]*)\}\s*from\s*)?"\.\/(chunk-\w+)\.mjs";?/g
const DYNAMIC_IMPORT = /\bimport(?=\("\.\/chunk-\w+\.mjs"\))/g
const EXPORT = /\bexport\s*\{([^}]*)\};?\s*$/
const MAP_COMMENT = /\/\/# sourceMappingURL=.*\n?$/

/** The items of a list of imports or exports: `from as to`. */
const itemsOf = (list: string): { from: string; to: string }[] =>
  list.split(',').map((item) => {
    const [from = '', to = from] = item.trim().split(/\s+as\s+/)
    return { from, to }
  })

/**
 * What a chunk exports that may have no value yet when the chunk has been evaluated: variables declared without one. The bundler has them
 * for modules that are evaluated when they are asked for. By the names that they are exported with.
 */
export function lateExports(text: string): Set<string> {
  const before = text.replace(EXPORT, '')
  const isLate = ({ from }: { from: string }) =>
    new RegExp(`(?:\\b(?:var|let) |,)${from.replaceAll('$', '\\$')}[,;]`).test(before)
  const items = itemsOf(EXPORT.exec(text)?.[1] ?? '')
  return new Set(items.filter(isLate).map(({ to }) => to))
}

/**
 * The bundler's chunk as an expression: a function that a loader calls, and that gives what the chunk exports. What it imports becomes
 * constants and what it exports a plain object: chunks import one another in one direction only. The bundler's own way, two getters for
 * each name and a call of one for each use, is kept for what gets its value late (`lateExports`).
 */
async function toScript(
  chunk: { name: string; text: string; map: string },
  lateOf: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<{ code: string; map: string }> {
  const inlineMap = Buffer.from(chunk.map).toString('base64')
  const constants: string[] = []
  let exported = ''
  // What is taken out leaves its room empty, so that the map stays true.
  const body = chunk.text
    .replace(IMPORT, (whole, list: string | undefined, name: string) => {
      const items = list === undefined ? [] : itemsOf(list)
      const isLate = ({ from }: { from: string }) => lateOf.get(name)?.has(from)
      const late = items.filter(isLate).map(({ from, to }) => `${from} as ${to}`)
      const names = items.filter((item) => !isLate(item)).map(({ from, to }) => `${from}:${to}`)
      constants.push(`${names.length > 0 ? `const{${names}}=` : ''}require("./${name}.mjs");`)
      return (late.length > 0 ? `import{${late}}from"./${name}.mjs";` : '').padEnd(whole.length)
    })
    .replace(DYNAMIC_IMPORT, 'Import')
    .replace(EXPORT, (_whole, list: string) => {
      exported = itemsOf(list)
        .map(({ from, to }) =>
          lateOf.get(chunk.name)?.has(to) ? `get ${to}(){return ${from}}` : `${to}:${from}`,
        )
        .join()
      return ''
    })
  return await transform(`${body}\n//# sourceMappingURL=data:application/json;base64,${inlineMap}`, {
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: true,
    define: { 'import.meta.url': '__url' },
    banner: `(function(require,Import,__url){'use strict';${constants.join('')}`,
    footer: `return{${exported}}})`,
    legalComments: 'none',
    sourcemap: 'external',
    sourcesContent: false,
    logLevel: 'error',
  })
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
        return `const {${list.replace(/ as /g, ': ')}} = __load(${name}.mjs")`
      },
    )
    .replace(/import\s*(?:\(("\.\/chunk-\w+)\.mjs"\)|("\.\/chunk-\w+)\.mjs")/g, (_whole, made, bare) => {
      return `__load(${made ?? bare}.mjs")`
    })

const toEntry = (entry: OutputFile): Promise<string> =>
  withRuntime({
    stdin: {
      contents: `import { scriptsBeside } from './load-scripts.ts'
const __load = scriptsBeside(import.meta.url)
${toLoads(entry.text.replace(MAP_COMMENT, ''))}`,
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
  const lateOf = new Map(
    files
      .filter(({ path }) => path.endsWith('.mjs'))
      .map(({ path, text }) => [basename(path, '.mjs'), lateExports(text.replace(MAP_COMMENT, ''))]),
  )
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
      const chunk = basename(name, '.mjs')
      const text = file.text.replace(MAP_COMMENT, '')
      const script = await toScript({ name: chunk, text, map: map.text }, lateOf)
      const target = join(outdir, chunk)
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
