import {
  type ConfigOf,
  configuration,
  databasePasswordVariable,
  type Environment,
  loadConfig,
  optionalVariable,
  passwordOf,
  variable,
} from '../../shared/platform/index.ts'

const database = (name: string, password: string, what: string) =>
  optionalVariable(name, configuration.postgresUrl, {
    about: `${what}; unset: it is left alone`,
    secret: true,
    completion: passwordOf(password),
  })

/** Which databases there are: the addresses of those that the deployables use, and not of a pooler. */
export const migrateConfig = {
  databaseUrl: database('DATABASE_URL', 'DATABASE_PASSWORD', 'resource database'),
  databasePassword: databasePasswordVariable('DATABASE_PASSWORD', 'DATABASE_URL'),
  ledgerDatabaseUrl: database(
    'LEDGER_DATABASE_URL',
    'LEDGER_DATABASE_PASSWORD',
    'database of the Postgres ledger, where that is another one',
  ),
  ledgerDatabasePassword: databasePasswordVariable('LEDGER_DATABASE_PASSWORD', 'LEDGER_DATABASE_URL'),
  useTigerbeetle: variable('USE_TIGERBEETLE', configuration.boolean, {
    about: 'ledger in TigerBeetle, which has no migrations; false: in Postgres',
    default: true,
  }),
  authDatabaseUrl: database('AUTH_DATABASE_URL', 'AUTH_DATABASE_PASSWORD', 'authorization database'),
  authDatabasePassword: databasePasswordVariable('AUTH_DATABASE_PASSWORD', 'AUTH_DATABASE_URL'),
}

export type MigrateConfig = ConfigOf<typeof migrateConfig>

const problemsOf = ({ databaseUrl, ledgerDatabaseUrl, authDatabaseUrl }: MigrateConfig): string[] =>
  databaseUrl === undefined && ledgerDatabaseUrl === undefined && authDatabaseUrl === undefined
    ? ['DATABASE_URL, LEDGER_DATABASE_URL or AUTH_DATABASE_URL must be set: there is nothing to migrate']
    : []

export const loadMigrateConfig = (env: Environment): MigrateConfig =>
  loadConfig(migrateConfig, env, problemsOf)
