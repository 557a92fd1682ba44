import type { Plugin } from 'esbuild'

/** Of large packages, what is used of them: packages of CommonJS are bundled whole otherwise. */
const USED: Readonly<Record<string, string>> = {
  undici: `export { default as Agent } from 'undici/lib/dispatcher/agent.js'
export { default as buildConnector } from 'undici/lib/core/connect.js'
`,
  // Fastify compares versions of plugins with it, where there is a plugin that names one.
  semver: `exports.gt = (...args) => require('semver/functions/gt')(...args)
exports.coerce = (...args) => require('semver/functions/coerce')(...args)
exports.satisfies = (...args) => require('semver/functions/satisfies')(...args)
`,
  // The router asks it about patterns in paths, which no route has.
  'safe-regex2': `module.exports = (...args) => require('safe-regex2/index.js')(...args)
`,
}

/**
 * What is never asked for: compilers of schemas, which no route has (`createHttpApp` refuses routes with schemas), log transports in
 * threads, and the native client of `pg`.
 */
const UNUSED = /^(@fastify\/(ajv-compiler|fast-json-stringify-compiler)|thread-stream|pg-native)$/

export function partsOfPackages(): Plugin {
  return {
    name: 'parts',
    setup(build) {
      build.onResolve({ filter: UNUSED }, ({ path }) => ({ path, namespace: 'unused' }))
      build.onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({
        contents: `module.exports = () => { throw new Error(${JSON.stringify(`${path} is not in this bundle`)}) }`,
        loader: 'js',
      }))
      build.onResolve({ filter: new RegExp(`^(${Object.keys(USED).join('|')})$`) }, ({ path, importer }) =>
        importer.includes(`/node_modules/${path}/`) ? undefined : { path, namespace: 'parts' },
      )
      build.onLoad({ filter: /.*/, namespace: 'parts' }, ({ path }) => ({
        contents: USED[path] ?? '',
        loader: 'js',
        resolveDir: process.cwd(),
      }))
    },
  }
}
