import { existsSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'

/** Where a name of a room's face comes from; `*` for a whole module as a namespace. */
interface Origin {
  file: string
  name: string
}

const LIST = /^export (type )?\{([^}]*)\} from '([^']+)'/gm
const NAMESPACE = /^export \* as (\w+) from '([^']+)'/gm
const EVERYTHING = /^export \* from '([^']+)'/gm
const DECLARED = /^export (?:async )?(?:const|let|function\*?|class) (\w+)/gm
const IMPORT = /^import \{([^}]*)\} from '(\.[^']+\/index\.ts)'/gm

const named = (list: string) =>
  list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '' && !item.startsWith('type '))
    .map((item) => {
      const [name = '', as = name] = item.split(/ as /)
      return { name, as }
    })

const faces = new Map<string, ReadonlyMap<string, Origin>>()

/** Every value that a face gives out. Faces are lists and nothing else (the house's style). */
function readFace(face: string): ReadonlyMap<string, Origin> {
  const known = faces.get(face)
  if (known) return known
  const text = readFileSync(face, 'utf8')
  const from = (path: string) => resolve(dirname(face), path)
  const origins = new Map<string, Origin>()
  for (const [, isType, list = '', path = ''] of text.matchAll(LIST))
    if (!isType) for (const { name, as } of named(list)) origins.set(as, { file: from(path), name })
  for (const [, name = '', path = ''] of text.matchAll(NAMESPACE))
    origins.set(name, { file: from(path), name: '*' })
  for (const [, path = ''] of text.matchAll(EVERYTHING))
    for (const [, name = ''] of readFileSync(from(path), 'utf8').matchAll(DECLARED))
      origins.set(name, { file: from(path), name })
  faces.set(face, origins)
  return origins
}

/**
 * A source whose imports name the files where things are instead of the faces of their rooms. A bundler that splits takes a face for a
 * reason to load all of its room, so what is needed later would be loaded at once. What a face does not list stays as it is.
 */
export const importsPastFaces = (path: string, text: string): string =>
  text.replace(IMPORT, (whole, list: string, source: string) => {
    const face = resolve(dirname(path), source)
    if (!existsSync(face)) return whole
    const origins = readFace(face)
    const lines = named(list).map(({ name, as }) => {
      const origin = origins.get(name)
      if (!origin) return `import { ${name} as ${as} } from '${source}'`
      const file = relative(dirname(path), origin.file)
      const target = file.startsWith('.') ? file : `./${file}`
      return origin.name === '*'
        ? `import * as ${as} from '${target}'`
        : `import { ${origin.name} as ${as} } from '${target}'`
    })
    // On as many lines as before, so that source maps stay true.
    return lines.join('; ') + '\n'.repeat(whole.split('\n').length - 1)
  })
