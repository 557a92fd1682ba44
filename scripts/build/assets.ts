import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import type { Plugin } from 'esbuild'
import { parse as parseGraphql } from 'graphql'
import { parse } from 'yaml'
import { CHECKSUMS_FILE, migrationChecksums } from '../../shared/platform/index.ts'

/** As sources name what they read: a file or folder beside them. */
const ASSET = /new URL\((['"])([^'"]+)\1, import\.meta\.url\)/g
const FOLDER = 'assets'

/**
 * Copies what a source reads by `new URL('…', import.meta.url)` beside the bundle, and rewrites the name, so that it is found there.
 * All output of a role lies in one folder, which is what `import.meta.url` names in all of it.
 */
export const withAssets = (path: string, text: string, outdir: string): string =>
  text.replace(ASSET, (_whole, _quote, name: string) => {
    const source = resolve(dirname(path), name)
    const target = join(FOLDER, relative(process.cwd(), source))
    if (source.endsWith('.graphql')) {
      writeSchema(source, join(outdir, target))
      return `new URL(${JSON.stringify(`./${target}.json`)}, import.meta.url)`
    }
    cpSync(source, join(outdir, target), {
      recursive: true,
      filter: (file) => statSync(file).isDirectory() || !file.endsWith('.ts'),
    })
    if (basename(source) === 'migrations')
      writeFileSync(join(outdir, target, CHECKSUMS_FILE), migrationChecksums(source))
    return `new URL(${JSON.stringify(`./${target}`)}, import.meta.url)`
  })

/** A schema as the document that it is parsed to. */
function writeSchema(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(
    `${target}.json`,
    JSON.stringify(parseGraphql(readFileSync(source, 'utf8'), { noLocation: true })),
  )
}

/** What reads schemas reads documents: parsing them costs a cold start ten times as much. */
export const schemasAsJson = (): Plugin => ({
  name: 'schemas',
  setup(build) {
    build.onLoad({ filter: /shared\/graphql-server\/read-schema\.ts$/ }, () => ({
      contents: `import { readFileSync } from 'node:fs'
export const readSchema = (file) => JSON.parse(readFileSync(file, 'utf8'))
`,
      loader: 'ts',
    }))
  },
})

const SPECS = ['auth-server', 'resource-server', 'wallet-address-server']

/** Puts the specifications beside the bundle as JSON: reading YAML costs a cold start more than all the rest of them. */
export function specificationsAsJson(outdir: string): Plugin {
  const resolveFrom = createRequire(resolve('package.json'))
  const readsJson = `import { readFileSync } from 'node:fs'
export const readSpecification = (name) =>
  JSON.parse(readFileSync(new URL('./${FOLDER}/' + name + '.json', import.meta.url), 'utf8'))
`
  return {
    name: 'specifications',
    setup(build) {
      build.onLoad({ filter: /shared\/openapi\/read-specification\.ts$/ }, () => {
        mkdirSync(join(outdir, FOLDER), { recursive: true })
        for (const name of SPECS) {
          const file = resolveFrom.resolve(`@interledger/open-payments/dist/openapi/specs/${name}.yaml`)
          writeFileSync(
            join(outdir, FOLDER, `${name}.json`),
            JSON.stringify(parse(readFileSync(file, 'utf8'))),
          )
        }
        return { contents: readsJson, loader: 'ts' }
      })
    },
  }
}
