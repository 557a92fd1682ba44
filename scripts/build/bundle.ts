import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, type Metafile, type Plugin } from 'esbuild'
import { schemasAsJson, specificationsAsJson, withAssets } from './assets.ts'
import { builtinsWhenNeeded } from './builtins.ts'
import { withClassNames } from './class-names.ts'
import { importsPastFaces } from './faces.ts'
import { licencesOf } from './licences.ts'
import { partsOfPackages } from './parts.ts'
import type { Role } from './roles.ts'
import { routerQuickToStart } from './router.ts'
import { AS_CHUNKS, importsWhenRun, writeScripts } from './to-scripts.ts'
import { validatorsOfRequests } from './validators.ts'

/** Packages of CommonJS ask for these. */
const BANNER = [
  "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);",
  'const __filename = import.meta.filename;',
  'const __dirname = import.meta.dirname;',
].join('')

/** The repository's own files, as bundles need them. */
const ownSources = (outdir: string, entries: readonly string[]): Plugin => ({
  name: 'own-sources',
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (path.includes('/node_modules/')) return undefined
      const text = withClassNames(importsPastFaces(path, readFileSync(path, 'utf8')))
      const isEntry = entries.some((entry) => resolve(entry) === path)
      return { contents: withAssets(path, isEntry ? importsWhenRun(text) : text, outdir), loader: 'ts' }
    })
  },
})

export interface Bundle {
  role: Role
  outdir: string
  metafile: Metafile
}

/**
 * `<root>/<role>`: the role's entries with everything that they need, packages that are installed beside excepted. Chunks are shared by
 * the entries, and what is imported when it is needed is not read before. The same sources make the same bytes, but for V8's code of them.
 */
export async function bundleRole(role: Role, root: string): Promise<Bundle> {
  const outdir = join(root, role.name)
  rmSync(outdir, { recursive: true, force: true })
  mkdirSync(outdir, { recursive: true })
  const entryPoints = role.entries.map((entry) => join(role.folder, `${entry}.ts`))
  const { metafile, outputFiles } = await build({
    ...AS_CHUNKS,
    entryPoints,
    write: !role.startsOften,
    outdir,
    sourcesContent: false,
    legalComments: 'none',
    ...(!role.startsOften && { banner: { js: BANNER } }),
    external: [...role.installed, 'pg-native'],
    plugins: [
      builtinsWhenNeeded(),
      partsOfPackages(),
      routerQuickToStart(),
      specificationsAsJson(outdir),
      schemasAsJson(),
      validatorsOfRequests(),
      ownSources(outdir, role.startsOften ? entryPoints : []),
    ],
  })
  if (outputFiles) await writeScripts(outdir, outputFiles, metafile)
  writeFileSync(join(outdir, 'THIRD-PARTY-LICENCES.txt'), licencesOf(Object.keys(metafile.inputs)))
  cpSync('LICENSE', join(outdir, 'LICENSE'))
  return { role, outdir, metafile }
}
