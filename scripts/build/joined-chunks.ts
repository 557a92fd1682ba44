import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { AS_MODULE } from './as-module.ts'
import { type Chunk, DYNAMIC_IMPORT, exportsOf, IMPORT, itemsOf, MAP_COMMENT } from './chunk-text.ts'

/** Chunks that have become one, which is evaluated as they were, one after the other. */
export interface Joined extends Chunk {
  names: ReadonlySet<string>
  /** By chunk, what others take of it: its name there, and the one that it is exported by here. */
  given: ReadonlyMap<string, ReadonlyMap<string, string>>
}

const importsOf = (text: string): string[] => [...text.matchAll(IMPORT)].map(([, , name = '']) => name)

/** What is loaded at once with these, in the order in which it is evaluated. */
export function loadedAtOnce(
  roots: readonly string[],
  chunks: ReadonlyMap<string, Pick<Chunk, 'text'>>,
): string[] {
  const found = new Set<string>()
  const visited = new Set<string>()
  const visit = (name: string) => {
    const chunk = chunks.get(name)
    if (!chunk || visited.has(name)) return
    visited.add(name)
    for (const imported of importsOf(chunk.text)) visit(imported)
    found.add(name)
  }
  for (const name of roots) visit(name)
  return [...found]
}

/** What others take of these chunks, by chunk. Who imports one when it runs may take all of it. */
function takenFrom(names: ReadonlySet<string>, texts: readonly string[], chunks: ReadonlyMap<string, Chunk>) {
  const taken = new Map<string, Set<string>>()
  const take = (chunk: string, items: readonly string[]) => {
    if (names.has(chunk)) taken.set(chunk, new Set([...(taken.get(chunk) ?? []), ...items]))
  }
  for (const text of texts)
    for (const [, list, chunk = ''] of text.matchAll(IMPORT))
      take(chunk, list === undefined ? [] : itemsOf(list).map(({ from }) => from))
  for (const text of [...texts, ...[...names].map((name) => chunks.get(name)?.text ?? '')])
    for (const [, chunk = ''] of text.matchAll(DYNAMIC_IMPORT))
      take(
        chunk,
        exportsOf(chunks.get(chunk)?.text ?? '').map(({ to }) => to),
      )
  return taken
}

/** The chunks as files of the folder that they are not written to, so that their maps name sources by the way from there. */
const unwritten = (
  outdir: string,
  names: ReadonlySet<string>,
  chunks: ReadonlyMap<string, Chunk>,
): Plugin => ({
  name: 'unwritten-chunks',
  setup(build) {
    build.onResolve({ filter: /./ }, ({ path, kind }) => {
      const name = path.replace('./', '').replace('.mjs', '')
      return kind === 'import-statement' && names.has(name)
        ? { path: join(outdir, `${name}.mjs`), pluginData: name }
        : { path, external: true }
    })
    build.onLoad({ filter: /./ }, ({ pluginData }) => {
      const { text = '', map = '' } = chunks.get(String(pluginData)) ?? {}
      return {
        contents: `${text}\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString('base64')}`,
        loader: 'js',
      }
    })
  },
})

/**
 * Makes one chunk of those that every start loads. The bundler cuts its output wherever one entry needs what another does not, and each
 * cut costs when they are loaded: two files, names that V8 has to look up in each, an object for what is exported.
 */
export async function joinChunks(
  order: readonly string[],
  others: readonly string[],
  chunks: ReadonlyMap<string, Chunk>,
  outdir: string,
): Promise<Joined> {
  const names = new Set(order)
  const lines = order.map((name) => `import './${name}.mjs'`)
  const given = new Map<string, Map<string, string>>()
  let count = 0
  for (const [chunk, items] of takenFrom(names, others, chunks)) {
    const as = new Map([...items].sort().map((name) => [name, `given${count++}`]))
    lines.push(
      `export { ${[...as].map(([name, to]) => `${name} as ${to}`).join(', ')} } from './${chunk}.mjs'`,
    )
    given.set(chunk, as)
  }
  const { outputFiles } = await build({
    ...AS_MODULE,
    stdin: { contents: lines.join('\n'), resolveDir: outdir },
    outfile: join(outdir, 'joined.mjs'),
    write: false,
    legalComments: 'none',
    sourcemap: 'external',
    sourcesContent: false,
    plugins: [unwritten(outdir, names, chunks)],
  })
  const [map = '', text = ''] = ['.map', '.mjs'].map(
    (end) => outputFiles.find(({ path }) => path.endsWith(end))?.text,
  )
  // Whose names it gives back is in the script, too.
  const hash = createHash('sha256').update(lines.join()).update(text).digest('hex').slice(0, 8).toUpperCase()
  return { name: `chunk-${hash}`, text: text.replace(MAP_COMMENT, ''), map, names, given }
}
