// `npm run build [role]...`: one self-contained folder for each deployable, for images and for functions on Lambda alike.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleRole } from './build/bundle.ts'
import { findRoles } from './build/roles.ts'
import { ENTRY_KIB_MAX, loadedBytes, outputNamed } from './build/sizes.ts'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const DIST = 'dist'

const asked = process.argv.slice(2)
const roles = findRoles()
const unknown = asked.filter((name) => !roles.some((role) => role.name === name))
if (unknown.length > 0) {
  console.error(`unknown role ${unknown.join(', ')}; there are: ${roles.map(({ name }) => name).join(', ')}`)
  process.exit(1)
}

const kib = (bytes: number) => `${(bytes / 1024).toFixed(0)} KiB`
const bundles = await Promise.all(
  roles
    .filter(({ name }) => asked.length === 0 || asked.includes(name))
    .map((role) => bundleRole(role, DIST)),
)
for (const { role, metafile } of bundles) {
  const sizes = role.entries.map((entry) => {
    const output = outputNamed(metafile, `${entry}.mjs`)
    return `${entry}.mjs ${output === undefined ? '–' : kib(loadedBytes(metafile, output))}`
  })
  console.log(`${DIST}/${role.name}: ${sizes.join(', ')} loaded at start`)
}
const tooLarge = bundles.filter(({ metafile }) => {
  const output = outputNamed(metafile, 'lambda.mjs')
  return output !== undefined && loadedBytes(metafile, output) > ENTRY_KIB_MAX * 1024
})
if (tooLarge.length > 0) {
  console.error(`more than ${ENTRY_KIB_MAX} KiB: ${tooLarge.map(({ role }) => role.name).join(', ')}`)
  process.exitCode = 1
}
