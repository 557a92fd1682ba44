import type { BuildOptions } from 'esbuild'

/** How everything that functions run is written: small modules for the Node of the bundles. */
export const AS_MODULE = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minify: true,
  logLevel: 'error',
} as const satisfies BuildOptions
