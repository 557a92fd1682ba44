import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Manifest } from './render.ts'

/** Runs `work` with a cluster in which a release has been installed: as much of it as a chart can look into. */
export async function withCluster<T>(
  { release, namespace, manifests }: { release: string; namespace: string; manifests: readonly Manifest[] },
  work: (kubeconfig: string) => T,
): Promise<T> {
  const installed = manifests
    .filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined)
    .map(({ metadata, ...rest }) => ({
      ...rest,
      metadata: {
        ...metadata,
        namespace,
        annotations: { ...metadata.annotations, 'meta.helm.sh/release-name': release },
      },
    }))
  const thread = new Worker(new URL('./cluster-thread.ts', import.meta.url), {
    workerData: { namespace, manifests: installed },
  })
  const folder = mkdtempSync(join(tmpdir(), 'upesi-cluster-'))
  try {
    const [port] = (await once(thread, 'message')) as [number]
    const file = join(folder, 'kubeconfig')
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
        users: [{ name: 'u', user: {} }],
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'c',
      }),
    )
    return work(file)
  } finally {
    await thread.terminate()
    rmSync(folder, { recursive: true })
  }
}
