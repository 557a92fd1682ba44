import { dirname, join } from 'node:path'
import ts from 'typescript'
import type { Manifest } from './render.ts'

/** The packages that know objects of Kubernetes, by the group of the API; all others are Kubernetes' own. */
const packages: Readonly<Record<string, string>> = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'keda.sh': '@kubernetes-models/keda',
  'serving.knative.dev': '@kubernetes-models/knative',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
}

function modelOf({ apiVersion, kind }: Manifest): string {
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''
  return `${packages[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`
}

const root = dirname(dirname(import.meta.dirname))
const FILE = join(root, 'infra/helm/rendered.check.ts')

/**
 * What is wrong with manifests by the types and schemas of Kubernetes and of the custom resources. The compiler sees fields that do
 * not exist, and wrong types; the schemas see what is missing and malformed. Both are in packages: nothing is fetched.
 */
export async function typeProblems(manifests: readonly Manifest[]): Promise<string[]> {
  const problems = compilerProblems(manifests)
  for (const manifest of manifests) {
    const model = (await import(modelOf(manifest)))[manifest.kind]
    try {
      new model(manifest).validate()
    } catch (error) {
      problems.push(
        `${manifest.kind} ${manifest.metadata.name}: ${error instanceof Error ? error.message : error}`,
      )
    }
  }
  return problems
}

function compilerProblems(manifests: readonly Manifest[]): string[] {
  const models = [...new Set(manifests.map(modelOf))]
  const nameOf = (manifest: Manifest) => `M${models.indexOf(modelOf(manifest))}`
  const lines = [
    ...models.map(
      (model, index) => `import type { I${model.split('/').at(-1)} as M${index} } from '${model}'`,
    ),
    ...manifests.map(
      (manifest, index) =>
        `export const m${index}: ${nameOf(manifest)} = ${JSON.stringify(manifest, undefined, 1)}`,
    ),
  ]
  const text = lines.join('\n')
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2024,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2024.d.ts'],
    types: [],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists, readFile } = host
  host.fileExists = (name) => name === FILE || fileExists(name)
  host.readFile = (name) => (name === FILE ? text : readFile(name))
  host.getSourceFile = (name, version, ...rest) =>
    name === FILE
      ? ts.createSourceFile(name, text, version)
      : getSourceFile.call(host, name, version, ...rest)
  const program = ts.createProgram([FILE], options, host)
  return ts.getPreEmitDiagnostics(program).map(({ messageText, start = 0 }) => {
    const before = text.slice(0, start)
    const index = before.split('\nexport const m').length - 2
    const manifest = manifests[index]
    const what = manifest ? `${manifest.kind} ${manifest.metadata.name}` : 'import'
    return `${what}: ${ts.flattenDiagnosticMessageText(messageText, ' ')} at ${text.slice(start, start + 60).split('\n')[0]}`
  })
}
