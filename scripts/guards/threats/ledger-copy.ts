import type { ThreatTable } from '../guard.ts'

const copy = 'shared/ledger/copy.ts'
const replay = 'shared/ledger/replay.ts'
const contents = 'shared/ledger/postgres/contents.ts'
const compare = 'shared/ledger/compare.ts'
const fence = 'shared/ledger/postgres/migrations/0003_fence.sql'
const fencing = 'shared/ledger/postgres/fence.test.ts'
const copying = 'shared/ledger/copy.test.ts'
const replaying = 'shared/ledger/replay.test.ts'

/** What keeps a move from one ledger to another from losing or doubling money. */
export const ledgerCopyThreats: ThreatTable = {
  title: 'Moving between ledgers',
  about:
    'With a target in memory that is as strict as TigerBeetle; with a real server in `shared/ledger/tigerbeetle/copy.test.ts` and `cli/ledger-copy.test.ts`.',
  threats: [
    {
      name: 'Something still writes to the ledger that is copied',
      guards: [
        {
          name: 'a ledger that a node has open is refused',
          file: contents,
          text: 'if (Number(current?.sessions) > 0)',
          without: 'if (false)',
          test: { file: copying, name: 'a ledger that somebody has open' },
        },
        {
          name: 'what was written meanwhile is seen',
          file: contents,
          text: 'return current?.figures === figures ? undefined :',
          without: 'return figures ? undefined :',
          test: { file: copying, name: 'a ledger that somebody has open' },
        },
        {
          name: 'reservations that are under way are refused',
          file: copy,
          text: 'if (holds.length === 0) return',
          without: 'if (holds.length >= 0) return',
          test: { file: copying, name: 'reservations that are under way are refused' },
        },
      ],
    },
    {
      name: 'A ledger that has moved is opened, or copied, past the cluster that has its books',
      guards: [
        {
          name: 'it is opened with a look into the cluster that it moved to, and no other',
          file: 'cli/move-ledger.ts',
          text: '    assertMovedHere(fence, tigerBeetle)\n',
          without: '',
          test: { file: 'cli/ledger-copy.test.ts', name: 'a fenced ledger is opened again' },
        },
        {
          name: 'nor copied into another one',
          file: 'cli/move-ledger.ts',
          text: '  assertMovedHere(await findFence(connectionString), tigerBeetle)\n',
          without: '',
          test: { file: 'cli/ledger-copy.test.ts', name: 'a fenced ledger is opened again' },
        },
      ],
    },
    {
      name: 'A process that was forgotten goes on in the old ledger',
      guards: [
        {
          name: 'the fence goes up only where nothing was written since the look',
          file: contents,
          text: 'if (rows[0]?.figures !== figures) return WRITTEN',
          without: '',
          test: { file: fencing, name: 'a booking after the look stops the fence' },
        },
        {
          name: 'with every lock in hand',
          file: contents,
          text: "await another.query('select ledger.take_all_locks()')",
          without: '',
          test: { file: fencing, name: 'a booking that is under way at another connection' },
        },
        {
          name: 'the lock of new accounts as well',
          file: fence,
          text: 'generate_series(0, 128)',
          without: 'generate_series(0, 127)',
          test: { file: fencing, name: 'a booking that is under way at another connection' },
        },
        {
          name: 'and whoever books comes by it',
          file: fence,
          text: 'if exists (select from ledger.fence) then',
          without: 'if false then',
          test: { file: fencing, name: 'a booking that waits for its turn while the fence is raised' },
        },
        {
          name: 'a deployable does not start behind it',
          file: 'shared/node-context/node-ledger.ts',
          text: 'if (fence)',
          without: 'if (fence && false)',
          test: { file: 'cli/ledger-copy.test.ts', name: 'a fenced ledger is opened again by its command' },
        },
        {
          name: 'nor is it lifted once TigerBeetle was used',
          file: copy,
          text: 'if (isUsed)',
          without: 'if (isUsed && false)',
          test: { file: fencing, name: 'a copy that was used is no way back' },
        },
      ],
    },
    {
      name: 'A copy into another ledger, or of books that do not hold',
      guards: [
        {
          name: 'a cluster that is in use is no target',
          file: copy,
          text: 'if (!(await target.isCopy()))',
          without: 'if (false)',
          test: { file: copying, name: 'a target that holds anything else is refused' },
        },
        {
          name: 'nor one with other accounts',
          file: copy,
          text: 'if (differences.length > 0)',
          without: 'if (differences.length > 1e9)',
          test: { file: copying, name: 'a target that holds anything else is refused' },
        },
        {
          name: 'books that do not hold are not copied',
          file: copy,
          text: 'if (findings.length > 0)',
          without: 'if (findings.length > 1e9)',
          test: { file: copying, name: 'books that do not hold are not copied' },
        },
      ],
    },
    {
      name: 'A copy that is interrupted, or differs from its source',
      guards: [
        {
          name: 'chains are never cut',
          file: replay,
          text: 'if (!transfer.linked) planned.push(...finish())',
          without: 'planned.push(...finish())',
          test: { file: replaying, name: 'pages do not matter, chains stay whole' },
        },
        {
          name: 'what ran out is free again where it was in the source',
          file: replay,
          text: 'if (chain.length === 0) planned.push(...expiring.take(transfer.timestamp).map(at))',
          without: '',
          test: { file: copying, name: 'the copy is equal' },
        },
        {
          name: 'transfers come behind their accounts',
          file: replay,
          text: 'timestamp: greatest(transfer.timestamp, accounts + 1n)',
          without: 'timestamp: transfer.timestamp',
          test: { file: replaying, name: 'transfers come behind their accounts' },
        },
        {
          name: 'balances are compared',
          file: compare,
          text: "  'creditsPosted',\n",
          without: '',
          test: { file: copying, name: 'a balance that was changed is found' },
        },
        {
          name: 'each ledger is balanced by itself',
          file: compare,
          text: 'if (!isConserved(total))',
          without: 'if (false)',
          test: { file: copying, name: 'a balance that was changed is found' },
        },
        {
          name: 'what only the second has is found',
          file: compare,
          text: 'if (!found[index]) add(id)',
          without: 'void [found, index, id]',
          test: { file: copying, name: 'what only one of the two has is found' },
        },
      ],
    },
  ],
}
