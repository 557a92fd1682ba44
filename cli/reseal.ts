// `npm run reseal`: seals every secret at rest with the current key (docs/key-rotation.md). The node may run meanwhile.
import { createLogger, messageOf, withEnvironmentFile } from '../shared/platform/index.ts'
import { type DatabaseName, databaseNames, resealDatabases } from './reseal-databases.ts'

/** `--only=resources` or `--only=auth`, for those that are run in different places; both by default. */
function namedDatabases(args: readonly string[]): readonly DatabaseName[] {
  const names = args.map((arg) => databaseNames.find((name) => arg === `--only=${name}`))
  const wrong = args.find((_arg, index) => names[index] === undefined)
  if (wrong !== undefined) throw new Error(`unknown argument ${wrong}; known: --only=resources, --only=auth`)
  return names.length === 0 ? databaseNames : names.filter((name) => name !== undefined)
}

try {
  const names = namedDatabases(process.argv.slice(2))
  const log = createLogger({ level: 'warn', name: 'reseal' })
  const { lines, isComplete } = await resealDatabases(withEnvironmentFile(process.env), names, log)
  for (const line of lines) console.log(line)
  if (!isComplete) process.exitCode = 1
} catch (error) {
  console.error(messageOf(error))
  process.exitCode = 1
}
