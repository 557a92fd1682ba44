// How the bundler writes the imports and exports of its chunks: as statements of one form, which what makes scripts of them relies on.

export const IMPORT = /\bimport\s*(?:\{([^}]*)\}\s*from\s*)?"\.\/(chunk-\w+)\.mjs";?/g
export const DYNAMIC_IMPORT = /\bimport(?=\("\.\/(chunk-\w+)\.mjs"\))/g
/** Of an entry, whose static imports are made when it runs. */
export const ANY_IMPORT = /\bimport\b[^"';]*"\.\/(chunk-\w+)\.mjs"/g
export const EXPORT = /\bexport\s*\{([^}]*)\};?\s*$/
/** Of a package of CommonJS that is imported when it is needed: its only export, as a value. */
const EXPORT_OF_PACKAGE = /\bexport default ([\w$]+\(\));?\s*$/
export const MAP_COMMENT = /\/\/# sourceMappingURL=.*\n?$/

/** A chunk by its bare name, without the comment that names its map. */
export interface Chunk {
  name: string
  text: string
  map: string
}

/** The chunk's exports in that one form. */
export const withNamedExports = (text: string): string =>
  text.replace(
    EXPORT_OF_PACKAGE,
    (_whole, value: string) => `var __default=${value};export{__default as default};`,
  )

/** The items of a list of imports or exports: `from as to`. */
export const itemsOf = (list: string): { from: string; to: string }[] =>
  list.split(',').map((item) => {
    const [from = '', to = from] = item.trim().split(/\s+as\s+/)
    return { from, to }
  })

export const exportsOf = (text: string): { from: string; to: string }[] => {
  const [, list] = EXPORT.exec(text) ?? []
  return list ? itemsOf(list) : []
}

/**
 * What a chunk exports that may have no value yet when the chunk has been evaluated: variables declared without one. The bundler has them
 * for modules that are evaluated when they are asked for. By the names that they are exported with.
 */
export function lateExports(text: string): Set<string> {
  const before = text.replace(EXPORT, '')
  const isLate = ({ from }: { from: string }) =>
    new RegExp(`(?:\\b(?:var|let) |,)${from.replaceAll('$', '\\$')}[,;]`).test(before)
  return new Set(
    exportsOf(text)
      .filter(isLate)
      .map(({ to }) => to),
  )
}
