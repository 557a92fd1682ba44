import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import type { Plugin } from 'esbuild'

/**
 * Node's modules that packages ask for when they are loaded and use seldom or never in a function: each is loaded by the first touch of
 * one of its names.
 */
const LOADED_WHEN_TOUCHED = new Set([
  'child_process',
  'dns',
  'dns/promises',
  'fs/promises',
  'http2',
  'https',
  'inspector',
  'module',
  'perf_hooks',
  'timers/promises',
  'tls',
  'worker_threads',
  'zlib',
])

const take = (name: string) => `process.getBuiltinModule(${JSON.stringify(`node:${name}`)})`

const membersOf = (name: string) =>
  process.getBuiltinModule(name) as unknown as Readonly<Record<string, unknown>>

const gettersOn = (target: string, name: string) => `
for (const name of ${JSON.stringify(Object.keys(membersOf(name)))})
  Object.defineProperty(${target}, name, { enumerable: true, configurable: true, get: () => load()[name] })`

/** As packages of CommonJS take it. */
function required(name: string): string {
  const load = `const load = () => ${take(name)}`
  // It is called everywhere, and has something to say only where it fails.
  if (name === 'assert')
    return `${load}
module.exports = (value, ...rest) => { if (!value) load()(value, ...rest) }
${gettersOn('module.exports', name)}`
  if (LOADED_WHEN_TOUCHED.has(name)) return load + gettersOn('exports', name)
  return `module.exports = ${take(name)}`
}

const isFunction = (name: string, key: string) =>
  typeof membersOf(name)[key] === 'function' && /^[a-z]/.test(key)

/** As modules take it: exactly the names that are asked for, `default` for all of it. */
function imported(name: string, keys: readonly string[]): string {
  const names = keys.filter((key) => key !== 'default')
  const exported = `export { ${names.map((key) => `_${key} as ${key}`).join(', ')} }`
  if (LOADED_WHEN_TOUCHED.has(name) && names.every((key) => isFunction(name, key)))
    return `const load = () => ${take(name)}
${keys.includes('default') ? `const found = {}${gettersOn('found', name)}\nexport default found` : ''}
${names.map((key) => `const _${key} = (...args) => load().${key}(...args)`).join('\n')}
${exported}`
  return `const found = ${take(name)}
export default found
const { ${names.map((key) => `${key}: _${key}`).join(', ')} } = found
${exported}`
}

/** The names that a source takes from a module of Node; `undefined` where it takes the module as a namespace. */
function namesTaken(importer: string, path: string): string[] | undefined {
  const text = readFileSync(importer, 'utf8')
  const statements = [...text.matchAll(/\bimport\s*([^'";()]*?)\s*from\s*(['"])([^'"]+)\2/g)].filter(
    ([, , , source]) => source === path,
  )
  const names = new Set<string>()
  for (const [, clause = ''] of statements) {
    if (clause.includes('*')) return undefined
    if (/^\w/.test(clause)) names.add('default')
    const list = /\{([^}]*)\}/.exec(clause)?.[1] ?? ''
    for (const item of list.split(',')) {
      const [name = ''] = item.trim().split(/\s+as\s+/)
      if (name !== '' && !name.startsWith('type ')) names.add(name)
    }
  }
  return [...names].sort()
}

/**
 * Takes Node's own modules by `process.getBuiltinModule` instead of importing them. An import makes Node read every name of the module,
 * and names that are made when they are read load much of Node: `node:http` brings Node's WebSocket with its fetch and HTTP/2.
 */
export function builtinsWhenNeeded(): Plugin {
  return {
    name: 'builtins',
    setup(build) {
      build.onResolve({ filter: /^(node:)?[a-z][\w/]*$/ }, ({ path, kind, importer }) => {
        if (!isBuiltin(path)) return undefined
        const name = path.replace(/^node:/, '')
        if (kind === 'require-call') return { path: name, namespace: 'builtin-required' }
        const names = kind === 'import-statement' ? namesTaken(importer, path) : undefined
        if (names === undefined) return { path: `node:${name}`, external: true }
        return { path: [name, ...names].join(' '), namespace: 'builtin-imported' }
      })
      build.onLoad({ filter: /.*/, namespace: 'builtin-required' }, ({ path }) => ({
        contents: required(path),
        loader: 'js',
      }))
      build.onLoad({ filter: /.*/, namespace: 'builtin-imported' }, ({ path }) => {
        const [name = '', ...names] = path.split(' ')
        return { contents: imported(name, names), loader: 'js' }
      })
    },
  }
}
