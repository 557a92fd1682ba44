import {
  assertLedgerMigrated,
  assertMovedHere,
  assertSound,
  assertUnused,
  compareLedgers,
  copyLedger,
  fenceSource,
  findFence,
  type LedgerComparison,
  type LedgerContents,
  liftFence,
  openPostgresContents,
  openTigerBeetleContents,
  type PostgresContents,
  parseTigerBeetleCluster,
  type TigerBeetleContents,
} from '../shared/ledger/index.ts'
import { nodeConfig, resourceVariables } from '../shared/node-context/index.ts'
import { createDb, type Environment, type Logger, loadConfig } from '../shared/platform/index.ts'

const { databaseUrl, ledgerDatabaseUrl } = nodeConfig
const { tigerbeetleClusterId, tigerbeetleReplicaAddresses } = resourceVariables

/** As the deployables read them, so that their environment serves. */
const moveConfig = { databaseUrl, ledgerDatabaseUrl, tigerbeetleClusterId, tigerbeetleReplicaAddresses }

type Print = (line: string) => void

interface Closing {
  close(): Promise<void>
}

/** Copies, compares, and fences the source when the two are equal; whether they are. Throws `ConfigError` and `LedgerCopyRefusal`. */
export async function copyToTigerBeetle(env: Environment, log: Logger, print: Print): Promise<boolean> {
  const { connectionString, openTigerBeetle, tigerBeetle } = readPlaces(env, log)
  await assertMigrated(connectionString)
  assertMovedHere(await findFence(connectionString), tigerBeetle)
  // Opening it releases what has expired since the node was stopped; held for long, that would count as a fault of the books.
  const source = await openPostgresContents(connectionString)
  return await closing(source, async () => {
    await assertSound(connectionString)
    const target = await openTigerBeetle()
    return await closing(target, async () => {
      const progress = createProgress(print)
      const copied = await copyLedger(source, target, {
        onProgress: ({ accounts, transfers }) =>
          progress(() => `${accounts} accounts and ${transfers} transfers copied`),
      })
      print(`copied: ${copied.accounts} accounts, ${copied.transfers} transfers`)
      if (!(await compare([source, target], ['Postgres', 'TigerBeetle'], print))) return false
      await fenceSource(source, tigerBeetle)
      print('Postgres takes no more bookings')
      return true
    })
  })
}

/**
 * Opens the Postgres ledger of the environment again after a copy that led nowhere. Throws `LedgerCopyRefusal` when something was booked
 * in TigerBeetle since, or when that is another cluster: Postgres would not know of it. `isUnchecked`: the operator knows better, or has no cluster any more.
 */
export async function reopenPostgres(
  env: Environment,
  { log, print, isUnchecked }: { log: Logger; print: Print; isUnchecked: boolean },
): Promise<void> {
  const { connectionString, openTigerBeetle, tigerBeetle } = readPlaces(env, log)
  await assertMigrated(connectionString)
  const fence = await findFence(connectionString)
  if (!fence) return print('Postgres takes bookings: there is nothing to open')
  if (!isUnchecked) {
    assertMovedHere(fence, tigerBeetle)
    const target = await openTigerBeetle()
    await closing(target, () => assertUnused(target))
  }
  await liftFence(connectionString)
  print(`Postgres takes bookings again, which moved to ${fence.movedTo} on ${fence.raisedAt.toISOString()}`)
}

/** Whether the two are equal. Throws `ConfigError`. */
export async function verifyLedgers(
  env: Environment,
  { against, log, print }: { against: string | undefined; log: Logger; print: Print },
): Promise<boolean> {
  const { connectionString, openTigerBeetle } = readPlaces(env, log)
  await assertMigrated(connectionString)
  if (against !== undefined) await assertMigrated(against)
  const first = await openPostgresContents(connectionString)
  return await closing(first, async () => {
    const second: PostgresContents | TigerBeetleContents =
      against === undefined ? await openTigerBeetle() : await openPostgresContents(against)
    const names =
      against === undefined ? (['Postgres', 'TigerBeetle'] as const) : (['the first', 'the second'] as const)
    return await closing(second, () => compare([first, second], names, print))
  })
}

function readPlaces(env: Environment, log: Logger) {
  const config = loadConfig(moveConfig, env)
  const cluster = () =>
    parseTigerBeetleCluster({
      clusterId: config.tigerbeetleClusterId,
      replicaAddresses: config.tigerbeetleReplicaAddresses,
    })
  return {
    connectionString: config.ledgerDatabaseUrl ?? config.databaseUrl,
    openTigerBeetle: () => openTigerBeetleContents({ ...cluster(), log }),
    tigerBeetle: `the TigerBeetle cluster ${config.tigerbeetleClusterId} at ${config.tigerbeetleReplicaAddresses}`,
  }
}

/** A ledger of an older version is brought up to date by the deployables, not here. */
async function assertMigrated(connectionString: string): Promise<void> {
  const db = createDb({ connectionString, poolSizeMax: 1, applicationName: 'upesi-ledger-copy' })
  await closing(db, () => assertLedgerMigrated(db))
}

async function closing<T>(resource: Closing, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await resource.close()
  }
}

const PROGRESS_MS = 10_000

/** Says something now and then. */
function createProgress(print: Print): (say: () => string) => void {
  let last = performance.now()
  return (say) => {
    if (performance.now() - last < PROGRESS_MS) return
    last = performance.now()
    print(say())
  }
}

async function compare(
  sides: readonly [LedgerContents, LedgerContents],
  names: readonly [string, string],
  print: Print,
): Promise<boolean> {
  const progress = createProgress(print)
  const result = await compareLedgers(sides, {
    names,
    onProgress: (count) => progress(() => `${count} accounts and transfers compared`),
  })
  for (const text of describe(result, names)) print(text)
  return result.differenceCount === 0
}

function describe(result: LedgerComparison, [one, other]: readonly [string, string]): string[] {
  const { totals, accounts, transfers, differences, differenceCount } = result
  return [
    ...totals.map(
      (sum) =>
        `ledger ${sum.ledger} of ${one}: ${sum.accounts} accounts, debits ${sum.debitsPosted}, credits ${sum.creditsPosted}`,
    ),
    ...differences.map((difference) => `DIFFERENT ${difference}`),
    ...(differenceCount > differences.length ? [`… ${differenceCount} differences in all`] : []),
    differenceCount === 0
      ? `${one} and ${other} are equal: ${accounts} accounts, ${transfers} transfers`
      : `${one} and ${other} differ`,
  ]
}
