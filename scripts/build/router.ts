import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Plugin } from 'esbuild'

const ROUTER = /\/node_modules\/find-my-way\/(lib\/(node|handler-storage)|index)\.js$/

/** Of a source: what it says, and what it is to say instead. */
const CHANGES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'index.js': ['OPTIONAL_PARAM_REGEXP', 'ESCAPE_REGEXP', 'REMOVE_DUPLICATE_SLASHES_REGEXP'].map(
    (name) => [`if (!isRegexSafe(${name}))`, 'if (false)'] as const,
  ),
  'node.js': [
    [
      `  return new Function('path', 'i', \`'use strict'\\nreturn \${lines.join(' && ')}\`) // eslint-disable-line`,
      `  return (path, i) => {
    for (let k = 1; k < prefix.length; k++) if (path.charCodeAt(i + k) !== prefix.charCodeAt(k)) return false
    return true
  }`,
    ],
  ],
  'handler-storage.js': [
    [
      '_createParamsObject: this._compileCreateParamsObject(params)',
      `_createParamsObject: (...values) =>
        (handlerObject._createParamsObject = this._compileCreateParamsObject(params))(...values)`,
    ],
    [
      '      this._compileGetHandlerMatchingConstraints(constrainer, constraints)\n',
      `      this._getHandlerMatchingConstraints = (derived) => {
        this._compileGetHandlerMatchingConstraints(constrainer, constraints)
        return this._getHandlerMatchingConstraints(derived)
      }\n`,
    ],
  ],
}

/**
 * The router writes and compiles three functions for each route when it is told of it. A function answers one request at its start: these
 * are made when they are called first, and the one that compares characters is not written anew for each text. Nor does it have a parser
 * of patterns look whether its own three are safe each time that it is loaded: they are the same as when it was tested.
 */
export function quickToStart(file: string, source: string): string {
  let changed = source
  for (const [theirs, ours] of CHANGES[file] ?? []) {
    if (!changed.includes(theirs))
      throw new Error(`the router's ${file} is not as it was: see what it does at a start`)
    changed = changed.replace(theirs, () => ours)
  }
  return changed
}

export const routerQuickToStart = (): Plugin => ({
  name: 'router',
  setup(build) {
    build.onLoad({ filter: ROUTER }, ({ path }) => ({
      contents: quickToStart(basename(path), readFileSync(path, 'utf8')),
      loader: 'js',
    }))
  },
})
