/**
 * Embedded PostgreSQL: the real server from an npm package, for development and tests, without Docker and without an
 * installation. What is always true: it listens on a Unix socket in a private folder only, with a random password; it runs
 * as root's substitute when root starts it; it outlives a killed parent and is adopted by the next start; one folder has one
 * owner at a time.
 */
export { CannotRunHere, FolderInUse } from './errors.ts'
export {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
  startTemporaryPostgres,
} from './start.ts'
