import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Metafile, type Plugin } from 'esbuild'
import { specificationsAsJson, withAssets } from './assets.ts'
import { importsPastFaces } from './faces.ts'
import { licencesOf } from './licences.ts'
import { partsOfPackages } from './parts.ts'
import type { Role } from './roles.ts'

/** Packages of CommonJS ask for these. */
const BANNER = [
  "import { createRequire as __createRequire } from 'node:module';",
  'const require = __createRequire(import.meta.url);',
  'const __filename = import.meta.filename;',
  'const __dirname = import.meta.dirname;',
].join('')

/** The repository's own files, as bundles need them. */
const ownSources = (outdir: string): Plugin => ({
  name: 'own-sources',
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (path.includes('/node_modules/')) return undefined
      const text = importsPastFaces(path, readFileSync(path, 'utf8'))
      return { contents: withAssets(path, text, outdir), loader: 'ts' }
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
 * the entries, and what is imported when it is needed is not read before. The same sources make the same bytes.
 */
export async function bundleRole(role: Role, root: string): Promise<Bundle> {
  const outdir = join(root, role.name)
  rmSync(outdir, { recursive: true, force: true })
  mkdirSync(outdir, { recursive: true })
  const { metafile } = await build({
    entryPoints: role.entries.map((entry) => join(role.folder, `${entry}.ts`)),
    outdir,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunk-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // Errors and spans are named by their classes and functions.
    keepNames: true,
    minify: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    banner: { js: BANNER },
    external: [...role.installed, 'pg-native'],
    plugins: [partsOfPackages(), specificationsAsJson(outdir), ownSources(outdir)],
    metafile: true,
    logLevel: 'error',
  })
  writeFileSync(join(outdir, 'THIRD-PARTY-LICENCES.txt'), licencesOf(Object.keys(metafile.inputs)))
  cpSync('LICENSE', join(outdir, 'LICENSE'))
  return { role, outdir, metafile }
}
