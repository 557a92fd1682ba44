// `npm run migrate`, and the command of the role: once, and it ends.
import { ConfigError, messageOf, withEnvironmentFile } from '../../shared/platform/index.ts'
import { migrateDatabases } from './migrate.ts'

try {
  console.log(JSON.stringify({ migrated: await migrateDatabases(withEnvironmentFile(process.env)) }))
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : messageOf(error))
  process.exitCode = 1
}
