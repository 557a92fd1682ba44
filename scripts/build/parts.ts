import { readFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import type { Plugin } from 'esbuild'

/** Of large packages, what is used of them: packages of CommonJS are bundled whole otherwise. */
const USED: Readonly<Record<string, string>> = {
  undici: `export { default as Agent } from 'undici/lib/dispatcher/agent.js'
export { default as buildConnector } from 'undici/lib/core/connect.js'
`,
  // Fastify asks it whether it is new enough for a plugin. Versions are pinned, and tests run the sources, where it is asked.
  semver: `exports.gt = () => false
exports.coerce = (version) => version
exports.satisfies = () => true
`,
}

/**
 * What is never asked for: compilers of schemas, which no route has (`createHttpApp` refuses routes with schemas), log transports in
 * threads, the native client of `pg`, and what the router asks about patterns in paths, which no route has.
 */
const UNUSED = /^(@fastify\/(ajv-compiler|fast-json-stringify-compiler)|thread-stream|pg-native|safe-regex2)$/

/**
 * The same of single files, by who asks for them. HTTP/2 of the client, which nothing here speaks (`allowH2` is off): with it comes what
 * Node has of HTTP/2.
 */
const UNUSED_FILES: Readonly<Record<string, readonly string[]>> = {
  'undici/lib/dispatcher/client.js': ['./client-h2.js'],
  'pg/lib/index.js': ['./native'],
  'pino/pino.js': ['./lib/transport', './lib/multistream'],
  'pino/lib/tools.js': ['./transport'],
}
const NAMES_OF_UNUSED_FILES = new RegExp(
  `^(${Object.values(UNUSED_FILES).flat().join('|').replaceAll('.', '\\.')})$`,
)

/**
 * What `pg` asks of cryptography for SCRAM, by Node's own calls: it uses the Web Crypto API, which is a good deal of Node that nothing else
 * of ours needs.
 */
export const CRYPTO_OF_PG = `const { createHash, createHmac, pbkdf2, randomBytes } = require('node:crypto')
const md5 = (text) => createHash('md5').update(text).digest('hex')
const hashNames = new Set(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'])
module.exports = {
  randomBytes,
  md5: async (text) => md5(text),
  postgresMd5PasswordHash: async (user, password, salt) => 'md5' + md5(Buffer.concat([Buffer.from(md5(password + user)), salt])),
  sha256: async (bytes) => createHash('sha256').update(bytes).digest(),
  async hashByName(name, bytes) {
    if (!hashNames.has(name.toUpperCase())) throw new Error('unknown hash ' + name)
    return createHash(name).update(bytes).digest()
  },
  hmacSha256: async (key, text) => createHmac('sha256', key).update(text).digest(),
  deriveKey: (password, salt, iterations) =>
    new Promise((resolve, reject) =>
      pbkdf2(password, salt, iterations, 32, 'sha256', (error, key) => (error ? reject(error) : resolve(key)))),
}
`

const isCryptoOfPg = (path: string, importer: string) =>
  path === (importer.endsWith('sasl.js') ? './utils' : './crypto/utils')

/** The other parser that the client has for HTTP/1.1, an experiment: twice 75 KiB. Node's own copy of the client has it neither. */
const EXPERIMENT_OF_UNDICI = /\/node_modules\/undici\/lib\/dispatcher\/parser-h1\.js$/

/** The logger asks from which files it is called, for transports, which no bundle has: V8 counts the lines of all scripts for the answer. */
const CALLERS_OF_PINO = /^\.\/lib\/caller$/

/** Of a log's lines how long an answer took: a clock that Node has at hand, where its own for measuring brings eight modules. */
const LOGS_OF_FASTIFY = /\/node_modules\/fastify\/lib\/logger-factory\.js$/
const CLOCK = "const { performance } = require('node:perf_hooks')"

export function withClockAtHand(source: string): string {
  if (!source.includes(CLOCK))
    throw new Error("Fastify's logs are not as they were: see what clock they take")
  return source.replace(CLOCK, 'const performance = { now: () => Number(process.hrtime.bigint()) / 1e6 }')
}

/**
 * The logger asks whether it is in a thread, and all of Node's threads are loaded for the answer. A bundle's entries are run by Node or by
 * Lambda, in the main thread.
 */
const TOOLS_OF_PINO = /\/node_modules\/pino\/lib\/tools\.js$/
const ASKED = "const { isMainThread } = require('worker_threads')"

export function inMainThread(source: string): string {
  if (!source.includes(ASKED))
    throw new Error("pino's tools are not as they were: see whether they load threads")
  return source.replace(ASKED, 'const isMainThread = true')
}

export function partsOfPackages(): Plugin {
  return {
    name: 'parts',
    setup(build) {
      build.onResolve({ filter: UNUSED }, ({ path }) => ({ path, namespace: 'unused' }))
      build.onResolve({ filter: NAMES_OF_UNUSED_FILES }, ({ path, importer }) => {
        const asking = importer.split('/node_modules/').at(-1) ?? ''
        return UNUSED_FILES[asking]?.includes(path)
          ? { path: posix.join(dirname(asking), path), namespace: 'unused' }
          : undefined
      })
      build.onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({
        contents: `module.exports = () => { throw new Error(${JSON.stringify(`${path} is not in this bundle`)}) }`,
        loader: 'js',
      }))
      build.onResolve({ filter: /\/crypto\/utils$|^\.\/utils$/ }, ({ path, importer }) =>
        /node_modules\/pg\/lib\/(client|crypto\/sasl)\.js$/.test(importer) && isCryptoOfPg(path, importer)
          ? { path: 'pg/lib/crypto/utils', namespace: 'parts' }
          : undefined,
      )
      build.onLoad({ filter: TOOLS_OF_PINO }, ({ path }) => ({
        contents: inMainThread(readFileSync(path, 'utf8')),
        loader: 'js',
      }))
      build.onResolve({ filter: CALLERS_OF_PINO }, ({ path, importer }) =>
        importer.endsWith('/node_modules/pino/pino.js') ? { path, namespace: 'callers' } : undefined,
      )
      build.onLoad({ filter: /.*/, namespace: 'callers' }, () => ({
        contents: 'module.exports = () => []',
        loader: 'js',
      }))
      build.onLoad({ filter: EXPERIMENT_OF_UNDICI }, () => ({
        contents: 'exports.getMiloEnabled = () => false',
        loader: 'js',
      }))
      build.onLoad({ filter: LOGS_OF_FASTIFY }, ({ path }) => ({
        contents: withClockAtHand(readFileSync(path, 'utf8')),
        loader: 'js',
      }))
      build.onResolve({ filter: new RegExp(`^(${Object.keys(USED).join('|')})$`) }, ({ path, importer }) =>
        importer.includes(`/node_modules/${path}/`) ? undefined : { path, namespace: 'parts' },
      )
      build.onLoad({ filter: /.*/, namespace: 'parts' }, ({ path }) => ({
        contents: path === 'pg/lib/crypto/utils' ? CRYPTO_OF_PG : (USED[path] ?? ''),
        loader: 'js',
        resolveDir: process.cwd(),
      }))
    },
  }
}
