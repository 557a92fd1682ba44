import { withAwsSecrets } from '../../shared/aws-lambda/index.ts'
import { type Migrated, migrateDatabases } from './migrate.ts'

/** Whatever the event: who deploys waits for the answer, and a failure is the invocation's. */
export const handler = async (): Promise<{ migrated: Migrated }> => ({
  migrated: await migrateDatabases(await withAwsSecrets(process.env)),
})
