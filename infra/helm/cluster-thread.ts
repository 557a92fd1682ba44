// The thread of `cluster.ts`: helm is waited for in the other.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import type { Manifest } from './render.ts'

const { namespace, manifests } = workerData as { namespace: string; manifests: Manifest[] }

const plural = (kind: string) => `${kind.toLowerCase()}s`
const pathOf = (apiVersion: string) =>
  apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
const KINDS = { v1: ['Secret', 'ConfigMap', 'Service'], 'apps/v1': ['Deployment', 'StatefulSet'] }

const answers = new Map<string, unknown>()
for (const [groupVersion, kinds] of Object.entries(KINDS))
  answers.set(pathOf(groupVersion), {
    kind: 'APIResourceList',
    groupVersion,
    resources: kinds.map((kind) => ({ name: plural(kind), namespaced: true, kind, verbs: ['get'] })),
  })
for (const manifest of manifests)
  answers.set(
    `${pathOf(manifest.apiVersion)}/namespaces/${namespace}/${plural(manifest.kind)}/${manifest.metadata.name}`,
    manifest,
  )

const server = createServer((request, response) => {
  const answer = answers.get(request.url?.split('?')[0] ?? '')
  response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answer ?? { kind: 'Status', apiVersion: 'v1', reason: 'NotFound', code: 404 }))
})
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port))
