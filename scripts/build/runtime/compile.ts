// `node compile.mjs`, in the folder of a role: compiles its scripts for the Node that runs this, which is to be the Node that will run
// them. Done when the role is built, and again where an image brings a Node of its own.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { COMPILED, compiledFile } from './compiled.ts'

const folder = dirname(fileURLToPath(import.meta.url))
mkdirSync(join(folder, COMPILED), { recursive: true })
for (const name of readdirSync(folder).filter((file) => file.endsWith('.js'))) {
  // Functions too, and not only when they are called. The flags stand again as they were before V8 writes down which they are.
  setFlagsFromString('--no-lazy')
  const script = new Script(readFileSync(join(folder, name), 'latin1'), { filename: name })
  setFlagsFromString('--lazy')
  writeFileSync(join(folder, compiledFile(name)), script.createCachedData())
}
