import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

/** What helm made of the chart. As loose as YAML is; `typed.ts` holds it against what Kubernetes takes. */
export interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> }
  // biome-ignore lint/suspicious/noExplicitAny: any object of Kubernetes.
  [field: string]: any
}

export type Values = Record<string, unknown>

export const chart = join(import.meta.dirname, 'upesi')

/** A helm that `go install` built does not say for which Kubernetes, and a chart asks. */
const KUBERNETES = '1.34.0'

/** Where `go install` puts it, besides the PATH. */
const searchPath = (() => {
  const go = spawnSync('go', ['env', 'GOPATH'], { encoding: 'utf8' })
  return `${process.env.PATH}${go.status === 0 ? `:${go.stdout.trim()}/bin` : ''}`
})()
const environment = { ...process.env, PATH: searchPath }

const helmIsThere =
  spawnSync('helm', ['version', '--short'], { env: environment, encoding: 'utf8' }).status === 0
/** From 1.24 on it builds helm. */
const goIsThere = (() => {
  const { stdout } = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' })
  const [, minor = '0'] = /^go1\.(\d+)/.exec(stdout ?? '') ?? []
  return Number(minor) >= 24
})()

/**
 * Why tests of the chart are skipped, if they are. With CI=true what could have been installed must be there; what could not says so
 * in NO_HELM (.ci/run).
 */
export const withoutHelm: string | false = (() => {
  const { CI, NO_HELM: reason } = process.env
  if (helmIsThere) return false
  return CI === 'true' && goIsThere && !reason ? false : (reason ?? 'no helm on the PATH')
})()

export const helm = (args: readonly string[], values: Values = {}): string =>
  execFileSync('helm', [...args, '-f', '-'], {
    env: environment,
    input: JSON.stringify(values),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })

export interface RenderOptions {
  release?: string
  namespace?: string
  /** What the cluster has besides what every Kubernetes has; anything at all stands for a cluster that was asked. */
  apiVersions?: readonly string[]
  files?: readonly string[]
  /** A kubeconfig: the chart looks into this cluster (`cluster.ts`). */
  cluster?: string
}

const argsOf = (options: RenderOptions) => [
  'template',
  options.release ?? 'ase-a',
  chart,
  '--kube-version',
  KUBERNETES,
  '--namespace',
  options.namespace ?? 'rafiki-ase-a',
  ...(options.apiVersions ?? []).flatMap((version) => ['--api-versions', version]),
  ...(options.files ?? []).flatMap((file) => ['-f', file]),
  ...(options.cluster === undefined ? [] : ['--dry-run=server', '--kubeconfig', options.cluster]),
]

export const lint = (values: Values): string =>
  helm(['lint', chart, '--strict', '--kube-version', KUBERNETES], values)

/** The objects of a release. Throws what helm says. */
export function render(values: Values, options: RenderOptions = {}): Manifest[] {
  const text = helm(argsOf(options), values)
  return parseAllDocuments(text).flatMap((document) => {
    // Two equal keys in one map are an error here; helm takes the last.
    if (document.errors.length > 0) throw new Error(document.errors.map(({ message }) => message).join('\n'))
    const manifest = document.toJS() as Manifest | null
    return manifest ? [manifest] : []
  })
}

/** What helm says when it refuses. Throws when it does not. */
export function refusal(values: Values, options: RenderOptions = {}): string {
  try {
    helm(argsOf(options), values)
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error)
  }
  throw new Error('helm took the values')
}

/** The same values with others over them; an array replaces, as with helm. */
export function over(values: Values, ...others: readonly Values[]): Values {
  const merged = structuredClone(values)
  for (const other of others)
    for (const [key, value] of Object.entries(other)) {
      const before = merged[key]
      const both = isMap(value) && isMap(before)
      merged[key] = both ? over(before, value) : structuredClone(value)
    }
  return merged
}

const isMap = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value at a path with dots. */
export const at = (path: string, value: unknown): Values =>
  path
    .split('.')
    .reverse()
    .reduce<unknown>((inner, key) => ({ [key]: inner }), value) as Values
