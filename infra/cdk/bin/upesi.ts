// The CDK app: one installation, from the file that `-c config=` names.
import { join, resolve } from 'node:path'
import { App } from 'aws-cdk-lib/core'
import { createInstallation, holdAgainstRules } from '../app.ts'
import { ConfigProblems, readConfig } from '../config.ts'
import { roles } from '../roles.ts'
import { placeholderDist } from '../stacks/compute.ts'

// Only asked what the command line says; what is synthesised is made below.
const { node, outdir } = new App({ autoSynth: false })
const file: unknown = node.tryGetContext('config')
try {
  if (typeof file !== 'string') throw new ConfigProblems(['say which: -c config=<file>'])
  const dist =
    node.tryGetContext('placeholders') === 'true'
      ? placeholderDist(join(outdir, 'placeholders'), roles)
      : resolve(import.meta.dirname, '../../../dist')
  const installation = createInstallation(readConfig(file), dist)
  holdAgainstRules(installation)
  installation.app.synth()
} catch (error) {
  if (!(error instanceof ConfigProblems)) throw error
  console.error(error.message)
  process.exitCode = 1
}
