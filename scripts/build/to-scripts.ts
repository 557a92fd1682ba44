import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Metafile, type OutputFile, transform } from 'esbuild'
import { AS_MODULE } from './as-module.ts'
import { builtinsWhenNeeded } from './builtins.ts'
import {
  ANY_IMPORT,
  type Chunk,
  DYNAMIC_IMPORT,
  EXPORT,
  exportsOf,
  IMPORT,
  itemsOf,
  lateExports,
  MAP_COMMENT,
  withNamedExports,
} from './chunk-text.ts'
import { type Joined, joinChunks, loadedAtOnce } from './joined-chunks.ts'

const RUNTIME = fileURLToPath(new URL('./runtime', import.meta.url))

/** How a role is bundled: as chunks that its entries share, under the names by which {@link writeScripts} tells them from entries. */
export const AS_CHUNKS = {
  ...AS_MODULE,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunk-[hash]',
  splitting: true,
  sourcemap: 'linked',
  metafile: true,
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

type LateOf = ReadonlyMap<string, ReadonlySet<string>>

const property = (name: string, value: string, isLate = false): string =>
  isLate ? `get ${name}(){return ${value}}` : `${name}:${value}`

const plainly = ({ name, text }: Chunk, lateOf: LateOf): string =>
  exportsOf(text)
    .map(({ from, to }) => property(to, from, lateOf.get(name)?.has(to)))
    .join()

/** What joined chunks export, an object for each that others take something of. */
function givenBack({ text }: Chunk, given: Joined['given'], lateOf: LateOf): string {
  const late = lateExports(text)
  const valuesHere = new Map(exportsOf(text).map(({ from, to }) => [to, from]))
  const objects = [...given].map(([name, exported]) => {
    const properties = [...exported].map(([to, here]) =>
      property(to, valuesHere.get(here) ?? '', lateOf.get(name)?.has(to) || late.has(here)),
    )
    return `"./${name}.mjs":{${properties}}`
  })
  return objects.join()
}

/**
 * The bundler's chunk as an expression: a function that a loader calls, and that gives what the chunk exports. What it imports becomes
 * constants and what it exports a plain object: chunks import one another in one direction only. The bundler's own way, two getters for
 * each name and a call of one for each use, is kept for what gets its value late (`lateExports`).
 */
async function toScript(
  chunk: Chunk,
  lateOf: LateOf,
  given?: Joined['given'],
): Promise<{ code: string; map: string }> {
  const inlineMap = Buffer.from(chunk.map).toString('base64')
  const constants: string[] = []
  const exported = given ? givenBack(chunk, given, lateOf) : plainly(chunk, lateOf)
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
    .replace(EXPORT, '')
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
    ...AS_MODULE,
    ...from,
    write: false,
    legalComments: 'none',
    plugins: [builtinsWhenNeeded()],
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

const toEntry = (entry: string, joined: string): Promise<string> =>
  withRuntime({
    stdin: {
      contents: `import { scriptsBeside } from './load-scripts.ts'
const __load = scriptsBeside(import.meta.url, ${JSON.stringify(`./${joined}.mjs`)})
${toLoads(entry)}`,
      resolveDir: RUNTIME,
      loader: 'js',
    },
  })

interface Output {
  /** As the metafile names it. */
  path: string
  name: string
  /** Without the comment that names its map. */
  text: string
  map: string
  of: Metafile['outputs'][string]
}

function outputsOf(files: readonly OutputFile[], metafile: Metafile): Output[] {
  const texts = new Map(files.map(({ path, text }) => [basename(path), text]))
  return Object.entries(metafile.outputs)
    .filter(([path]) => path.endsWith('.mjs'))
    .map(([path, of]) => ({
      path,
      name: basename(path, '.mjs'),
      text: withNamedExports((texts.get(basename(path)) ?? '').replace(MAP_COMMENT, '')),
      map: texts.get(`${basename(path)}.map`) ?? '',
      of,
    }))
}

/** What every one of the entries loads at once. */
function loadedByAll(entries: readonly Output[], chunks: ReadonlyMap<string, Chunk>): string[] {
  const [first = [], ...others] = entries.map(({ text }) =>
    loadedAtOnce(
      [...text.matchAll(ANY_IMPORT)].map(([, name = '']) => name),
      chunks,
    ),
  )
  return first.filter((name) => others.every((names) => names.includes(name)))
}

/** Tells the metafile what has become of the bundler's chunks, so that sizes are counted of what is there. */
function tellOfJoined(metafile: Metafile, outputs: readonly Output[], joined: Joined, bytes: number): void {
  const folder = dirname(outputs[0]?.path ?? '')
  const path = `${folder}/${joined.name}.mjs`
  for (const output of outputs)
    if (joined.names.has(output.name)) delete metafile.outputs[output.path]
    else
      output.of.imports = output.of.imports.map((made) =>
        joined.names.has(basename(made.path, '.mjs')) ? { ...made, path } : made,
      )
  metafile.outputs[path] = { bytes, inputs: {}, imports: [], exports: [] }
}

/**
 * Writes what the bundler has made of a role as scripts behind entries that stay modules. V8 can be given the code of a script with all of
 * its functions; of a module Node keeps the outermost level only, so that each function is compiled when it is first called.
 */
export async function writeScripts(
  outdir: string,
  files: readonly OutputFile[],
  metafile: Metafile,
): Promise<void> {
  const outputs = outputsOf(files, metafile)
  const isChunk = ({ name }: Output) => name.startsWith('chunk-')
  const entries = outputs.filter((output) => !isChunk(output))
  const chunks = new Map<string, Chunk>(outputs.filter(isChunk).map((chunk) => [chunk.name, chunk]))
  const lateOf = new Map([...chunks].map(([name, { text }]) => [name, lateExports(text)]))
  const writeScript = async (chunk: Chunk, given?: Joined['given']): Promise<number> => {
    const { code, map } = await toScript(chunk, lateOf, given)
    writeFileSync(join(outdir, `${chunk.name}.js`), code)
    writeFileSync(join(outdir, `${chunk.name}.js.map`), map)
    return code.length
  }
  const order = loadedByAll(entries, chunks)
  const others = outputs.filter(({ name }) => !order.includes(name))
  const joined = await joinChunks(
    order,
    others.map(({ text }) => text),
    chunks,
    resolve(outdir),
  )
  tellOfJoined(metafile, outputs, joined, await writeScript(joined, joined.given))
  for (const output of others)
    if (isChunk(output)) output.of.bytes = await writeScript(output)
    else {
      const text = await toEntry(output.text, joined.name)
      writeFileSync(join(outdir, `${output.name}.mjs`), text)
      output.of.bytes = text.length
      // They are made at once.
      for (const made of output.of.imports) made.kind = 'import-statement'
    }
  writeFileSync(
    join(outdir, 'compile.mjs'),
    await withRuntime({ entryPoints: [join(RUNTIME, 'compile.ts')] }),
  )
  execFileSync(process.execPath, [join(outdir, 'compile.mjs')], { env: {} })
}
