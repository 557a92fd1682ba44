import { least, variants } from './base-values.ts'
import { type Manifest, over, render } from './render.ts'
import { type Workload, workloadsOf } from './workloads.ts'

const known = new Map<string, Manifest[]>()

/** What helm makes of a variant, asked once. */
export function rendered(variant: string): Manifest[] {
  const values = variants[variant]
  if (!values) throw new Error(`no variant ${variant}`)
  const manifests = known.get(variant) ?? render(over(least, values))
  known.set(variant, manifests)
  return manifests
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
