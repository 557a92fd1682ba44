// Synthesises the installations of the files that are named, by default of both examples. Needs no network and no account. What
// is deployed has to be built before; where it is not, the functions are placeholders, and that is said.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

const here = import.meta.dirname
const root = resolve(here, '../..')
const named = process.argv.slice(2).map((file) => resolve(file))
const files =
  named.length > 0 ? named : ['small', 'full'].map((name) => join(here, 'examples', `${name}.json`))

const isBuilt = existsSync(join(root, 'dist', 'migrate', 'lambda.mjs'))
if (!isBuilt)
  console.error(
    'dist/ is not built (npm run build): the functions are placeholders, good to look at and not to deploy.',
  )

for (const file of files) {
  const output = join(here, 'cdk.out', basename(file, '.json'))
  const cli = spawnSync(
    process.execPath,
    [
      join(here, 'node_modules/aws-cdk/bin/cdk'),
      ...['synth', '--quiet', '--output', output, '-c', `config=${file}`],
      ...(isBuilt ? [] : ['-c', 'placeholders=true']),
    ],
    { cwd: here, stdio: 'inherit', env: { ...process.env, CDK_DISABLE_VERSION_CHECK: '1' } },
  )
  if (cli.status !== 0) process.exit(cli.status ?? 1)
  console.log(`${basename(file)} → ${output}`)
}
