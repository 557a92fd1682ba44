import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isFirst, RUN_FOLDER_VARIABLE, writeWhole } from '../../scripts/run-folder.ts'
import { least, variants } from './base-values.ts'
import { type Manifest, over, render } from './render.ts'
import { type Workload, workloadsOf } from './workloads.ts'

const known = new Map<string, Manifest[]>()

/** What helm makes of a variant, asked once in a run of the tests. */
export function rendered(variant: string): Manifest[] {
  const values = variants[variant]
  if (!values) throw new Error(`no variant ${variant}`)
  const manifests = known.get(variant) ?? onceInRun(variant, () => render(over(least, values)))
  known.set(variant, manifests)
  return manifests
}

const folderOfRun = process.env[RUN_FOLDER_VARIABLE]
const AWAITED_MS_MAX = 20_000
const EVERY_MS = 20

/** What test files need while they are loaded, all of them at the same time: whoever comes first makes it, the others wait. */
function onceInRun(name: string, make: () => Manifest[]): Manifest[] {
  if (folderOfRun === undefined) return make()
  const file = join(folderOfRun, `helm-${encodeURIComponent(name)}.json`)
  if (isFirst(`${file}.begun`)) {
    const manifests = make()
    writeWhole(file, manifests)
    return manifests
  }
  for (let waitedMs = 0; waitedMs < AWAITED_MS_MAX; waitedMs += EVERY_MS) {
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Manifest[]
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EVERY_MS)
  }
  // Whoever began it has failed, and says why; here it fails too.
  return make()
}

export const variantNames = Object.keys(variants)

export const called = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`

export interface Placed extends Workload {
  manifests: Manifest[]
  where: string
}

/** Each workload of each variant, and where it stands. */
export const placedWorkloads = (): Placed[] =>
  variantNames.flatMap((variant) => {
    const manifests = rendered(variant)
    return workloadsOf(manifests).map((workload) => ({
      ...workload,
      manifests,
      where: `${variant}: ${called(workload.manifest)}`,
    }))
  })
