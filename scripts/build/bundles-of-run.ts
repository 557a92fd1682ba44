/** For tests only: bundles are made once for all test files of a run. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '../../shared/testing/index.ts'
import { isFirst, RUN_FOLDER_VARIABLE, writeWhole } from '../run-folder.ts'
import { type Bundle, bundleRole } from './bundle.ts'
import type { Role } from './roles.ts'

/** Longer than a busy machine takes for one. */
const BUNDLE_MS_MAX = 120_000

/** Where the bundles of a run are: they stay until it ends. A test file that is run alone, without a run's folder, has its own. */
export function folderOfRun(): { root: string; remove: () => void } {
  const folder = process.env[RUN_FOLDER_VARIABLE]
  if (folder === undefined) {
    const root = mkdtempSync(join(tmpdir(), 'upesi-bundles-'))
    return { root, remove: () => rmSync(root, { recursive: true, force: true }) }
  }
  const root = join(folder, 'bundles')
  mkdirSync(root, { recursive: true })
  return { root, remove: () => undefined }
}

/**
 * The bundle of a role, which is `<root>/<role>`: made by whoever comes first, whatever process it is in, and awaited by the others. Nobody
 * writes into it.
 */
export async function bundleOfRun(role: Role, root: string, waitMsMax = BUNDLE_MS_MAX): Promise<Bundle> {
  const made = join(root, `${role.name}.json`)
  const failed = join(root, `${role.name}.failed`)
  if (isFirst(join(root, `${role.name}.begun`)))
    try {
      const bundle = await bundleRole(role, root)
      writeWhole(made, bundle)
      return bundle
    } catch (error) {
      writeFileSync(failed, String(error))
      throw error
    }
  await waitFor(() => existsSync(made) || existsSync(failed), waitMsMax)
  if (existsSync(failed))
    throw new Error(`another test file could not bundle ${role.name}: ${readFileSync(failed, 'utf8')}`)
  return JSON.parse(readFileSync(made, 'utf8')) as Bundle
}
