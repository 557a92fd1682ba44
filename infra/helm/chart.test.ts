import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { least, variants } from './base-values.ts'
import { lint, type Manifest, over, render, withoutHelm } from './render.ts'
import { called, placedWorkloads, rendered, variantNames } from './rendered-variants.ts'
import { typeProblems } from './typed.ts'
import {
  type Container,
  dataOf,
  find,
  isKnative,
  ofKind,
  selects,
  type Workload,
  workloadsOf,
} from './workloads.ts'

const skip = withoutHelm
const workloads = skip ? [] : placedWorkloads()
const all = skip
  ? []
  : variantNames.flatMap((variant) => rendered(variant).map((manifest) => ({ variant, manifest })))

const containersOf = ({ spec }: Workload): Container[] => [...(spec.initContainers ?? []), ...spec.containers]
const isTigerBeetle = ({ labels }: Workload) => labels['app.kubernetes.io/component'] === 'tigerbeetle'

describe('what the chart makes', { skip }, () => {
  test('helm lint finds nothing, whatever is chosen', () => {
    for (const values of [variants.least, variants.Knative, variants.TigerBeetle])
      assert.match(lint(over(least, values ?? {})), /0 chart\(s\) failed/)
  })

  test('everything is as the types and schemas of Kubernetes, Gateway API, Knative, KEDA and Prometheus say', async () => {
    const seen = new Set<string>()
    // Equal objects of two variants are one.
    const distinct = all
      .map(({ manifest }) => manifest)
      .filter((manifest) => {
        const text = JSON.stringify(manifest)
        return seen.has(text) ? false : seen.add(text)
      })
    assert.ok(distinct.length > 100)
    assert.deepEqual(await typeProblems(distinct), [])
  })

  test('that check sees a field that there is not, a wrong type, and what is missing', async () => {
    const manifests = structuredClone(rendered('least'))
    const [{ spec }] = ofKind(manifests, 'Deployment') as [Manifest]
    spec.template.spec.containers[0].readynessProbe = {}
    find(manifests, 'Service', 'ase-a-upesi-backend-service').spec.ports[0].port = 'https'
    delete find(manifests, 'HorizontalPodAutoscaler', 'ase-a-upesi-admin').spec.maxReplicas
    const problems = (await typeProblems(manifests)).join('\n')
    assert.match(problems, /readynessProbe/)
    assert.match(problems, /Service ase-a-upesi-backend-service/)
    assert.match(problems, /HorizontalPodAutoscaler ase-a-upesi-admin: .*maxReplicas/)
  })

  test('no two objects have one name', () => {
    for (const variant of variantNames) {
      const manifests = rendered(variant)
      const names = manifests.map(
        ({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`,
      )
      assert.deepEqual(
        names.filter((name, index) => names.indexOf(name) !== index),
        [],
        variant,
      )
    }
  })

  test('names are no longer than Kubernetes takes, however long the release is called', () => {
    const fullnameOverride = 'interledger-node-of-the-first-bank-of-aaaa'
    for (const name of ['metrics, schedule, names', 'Knative with SQS, KEDA, auto-peering', 'TigerBeetle']) {
      const values = over(least, variants[name] ?? {}, { fullnameOverride, schedule: { enabled: true } })
      for (const manifest of render(values))
        assert.ok(manifest.metadata.name.length <= (manifest.kind === 'CronJob' ? 52 : 63), called(manifest))
    }
  })

  test('every selector finds pods, and those of Services have the port', () => {
    for (const variant of variantNames) {
      const manifests = rendered(variant)
      const pods = workloadsOf(manifests)
      for (const manifest of manifests) {
        const selector =
          manifest.kind === 'Service' && !isKnative(manifest)
            ? manifest.spec.selector
            : (manifest.spec?.podSelector?.matchLabels ??
              (manifest.kind === 'ServiceMonitor' ? undefined : manifest.spec?.selector?.matchLabels))
        if (!selector) continue
        const found = pods.filter(({ labels }) =>
          selects(omit(selector, 'statefulset.kubernetes.io/pod-name'), labels),
        )
        assert.ok(found.length > 0, `${variant}: ${called(manifest)} selects nothing`)
        if (manifest.kind !== 'Service') continue
        for (const { targetPort } of manifest.spec.ports)
          assert.ok(
            found.some(({ spec }) =>
              spec.containers.some(({ ports = [] }) => ports.some(({ name }) => name === targetPort)),
            ),
            `${variant}: ${called(manifest)}: no pod has the port ${targetPort}`,
          )
      }
    }
  })

  test('scalers, budgets and routes point at what is there', () => {
    for (const { variant, manifest } of all) {
      const manifests = rendered(variant)
      const target = manifest.spec?.scaleTargetRef
      if (target) {
        const deployment = find(manifests, 'Deployment', target.name)
        // Whoever scales owns the number.
        assert.equal(deployment.spec.replicas, undefined, `${variant}: ${called(manifest)}`)
      }
      if (manifest.kind === 'HTTPRoute')
        for (const { backendRefs } of manifest.spec.rules)
          for (const { name, port } of backendRefs) {
            const service = find(manifests, 'Service', name)
            assert.ok(service.spec.ports.some((each: { port: number }) => each.port === port))
          }
      if (manifest.kind === 'TriggerAuthentication')
        for (const { name, key } of manifest.spec.secretTargetRef ?? [])
          assert.ok(dataOf(find(manifests, 'Secret', name))[key] !== undefined)
    }
  })

  test('ConfigMaps, Secrets and accounts that pods name exist', () => {
    const ofOthers = new Set([
      'node-secrets',
      'node-key',
      'ase-a-upesi-auth',
      'default',
      'migrator',
      'node',
      'registry',
    ])
    for (const { where, spec, manifests, manifest } of workloads) {
      const has = (kind: string, name: string) =>
        manifests.some(
          (each) => each.kind === kind && each.metadata.name === name && comesBefore(each, manifest),
        ) || ofOthers.has(name)
      const named = [
        ...spec.containers.flatMap(({ envFrom = [], env = [] }) => [
          ...envFrom.map(({ configMapRef, secretRef }) =>
            configMapRef
              ? (['ConfigMap', configMapRef.name] as const)
              : (['Secret', secretRef?.name ?? ''] as const),
          ),
          ...env.flatMap(({ valueFrom }) =>
            valueFrom?.secretKeyRef ? [['Secret', valueFrom.secretKeyRef.name] as const] : [],
          ),
        ]),
        ...(spec.volumes ?? []).flatMap(({ secret, configMap }) => [
          ...(secret ? [['Secret', secret.secretName] as const] : []),
          ...(configMap ? [['ConfigMap', configMap.name] as const] : []),
        ]),
        ...(spec.serviceAccountName ? [['ServiceAccount', spec.serviceAccountName] as const] : []),
      ]
      for (const [kind, name] of named) assert.ok(has(kind, name), `${where} names ${kind} ${name}`)
    }
  })

  test('containers are unprivileged, read-only, limited, and get no token of the cluster', () => {
    for (const workload of workloads) {
      const { where, spec } = workload
      assert.equal(spec.automountServiceAccountToken, false, where)
      for (const container of containersOf(workload)) {
        const security = { ...spec.securityContext, ...container.securityContext }
        assert.equal(security.runAsNonRoot, true, where)
        assert.ok(Number(security.runAsUser) > 0, where)
        assert.equal(security.readOnlyRootFilesystem, true, where)
        assert.equal(security.allowPrivilegeEscalation, false, where)
        assert.deepEqual(security.capabilities, { drop: ['ALL'] }, where)
        const { type } = security.seccompProfile as { type: string }
        assert.equal(type, isTigerBeetle(workload) ? 'Unconfined' : 'RuntimeDefault', where)
        assert.ok(container.resources?.limits?.memory, `${where} has no limit`)
        assert.ok(container.resources?.requests?.cpu && container.resources.requests.memory, where)
        assert.doesNotMatch(container.image, /:(latest)?$/, where)
        for (const { name } of container.volumeMounts ?? [])
          assert.ok(
            spec.volumes?.some((volume) => volume.name === name) ||
              (isTigerBeetle(workload) && name === 'data'),
            `${where} mounts ${name}`,
          )
      }
    }
  })

  test('no role of the cluster is asked for at all', () => {
    assert.deepEqual(
      all.filter(({ manifest }) => /Role/.test(manifest.kind)),
      [],
    )
  })
})

/** A hook of before the installation finds only hooks of before. */
function comesBefore(object: Manifest, user: Manifest): boolean {
  const hook = (manifest: Manifest) => manifest.metadata.annotations?.['helm.sh/hook'] ?? ''
  return !hook(user).startsWith('pre-') || hook(object) === hook(user)
}

function omit(labels: Record<string, string>, name: string): Record<string, string> {
  const { [name]: _omitted, ...others } = labels
  return others
}
