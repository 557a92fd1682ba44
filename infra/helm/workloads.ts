import type { Manifest } from './render.ts'

export interface Workload {
  manifest: Manifest
  labels: Record<string, string>
  spec: PodSpec
}

export interface PodSpec {
  containers: Container[]
  initContainers?: Container[]
  volumes?: {
    name: string
    secret?: { secretName: string }
    configMap?: { name: string }
    emptyDir?: unknown
  }[]
  serviceAccountName?: string
  automountServiceAccountToken?: boolean
  terminationGracePeriodSeconds?: number
  securityContext?: Record<string, unknown>
  imagePullSecrets?: { name: string }[]
}

export interface Container {
  name: string
  image: string
  command?: string[]
  args?: string[]
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: Ref; fieldRef?: unknown } }[]
  envFrom?: { configMapRef?: Ref; secretRef?: Ref }[]
  ports?: { name: string; containerPort: number }[]
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
  securityContext?: {
    runAsNonRoot?: boolean
    runAsUser?: number
    readOnlyRootFilesystem?: boolean
    allowPrivilegeEscalation?: boolean
    capabilities?: { drop?: string[]; add?: string[] }
    seccompProfile?: { type: string }
  }
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[]
  startupProbe?: Probe
  readinessProbe?: Probe
  livenessProbe?: Probe
  lifecycle?: { preStop?: { sleep?: { seconds: number } } }
}

interface Probe {
  httpGet?: { path: string; port: string | number }
  tcpSocket?: { port: string | number }
}

interface Ref {
  name: string
  key?: string
  optional?: boolean
}

const templateOf = ({ kind, spec, metadata }: Manifest): { metadata: unknown; spec: PodSpec } | undefined => {
  switch (kind) {
    case 'Pod':
      return { metadata, spec }
    case 'CronJob':
      return spec.jobTemplate.spec.template
    case 'Deployment':
    case 'StatefulSet':
    case 'Job':
      return spec.template
    case 'Service':
      return spec.template
    default:
      return undefined
  }
}

/** Everything that becomes pods. */
export const workloadsOf = (manifests: readonly Manifest[]): Workload[] =>
  manifests.flatMap((manifest) => {
    const template = templateOf(manifest)
    if (!template) return []
    const { labels = {} } = template.metadata as { labels?: Record<string, string> }
    return [{ manifest, labels, spec: template.spec }]
  })

export const isKnative = ({ apiVersion }: Manifest): boolean => apiVersion.startsWith('serving.knative.dev')

export const find = (manifests: readonly Manifest[], kind: string, name: string): Manifest => {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name)
  if (!found)
    throw new Error(
      `no ${kind} ${name} among ${manifests.map((each) => `${each.kind} ${each.metadata.name}`).join(', ')}`,
    )
  return found
}

export const ofKind = (manifests: readonly Manifest[], ...kinds: readonly string[]): Manifest[] =>
  manifests.filter(({ kind }) => kinds.includes(kind))

/** The text of a Secret's or ConfigMap's entries. */
export const dataOf = (manifest: Manifest): Record<string, string> =>
  manifest.kind === 'Secret'
    ? Object.fromEntries(
        Object.entries(manifest.data as Record<string, string>).map(([key, value]) => [
          key,
          Buffer.from(value, 'base64').toString(),
        ]),
      )
    : (manifest.data ?? {})

export const selects = (
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean => Object.entries(selector).every(([key, value]) => labels[key] === value)
