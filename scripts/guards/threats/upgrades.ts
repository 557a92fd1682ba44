import type { ThreatTable } from '../guard.ts'

const runner = 'shared/platform/migrations.ts'
const indexes = 'shared/platform/concurrent-indexes.ts'
const migrations = 'shared/platform/migrations.test.ts'
const law = 'shared/testing/migrations.test.ts'

/** What keeps an upgrade, and clocks that disagree, from stopping or falsifying anything. */
export const upgradeThreats: ThreatTable = {
  title: 'Upgrades and clocks',
  about:
    'F29, F30 and F32 of our list of faults. What upgrades leave of the rows from before: `shared/webhooks/upgrade.test.ts` and `shared/outgoing-payments/grant-spending-upgrade.test.ts`.',
  threats: [
    {
      name: 'An upgrade stops the traffic (F30)',
      guards: [
        {
          name: 'indexes of large tables are made while others write',
          file: 'shared/migrations/0060_partial_payments.sql',
          text: 'alter table webhook_events add column data_from_sender_sealed text;',
          without:
            'alter table webhook_events add column data_from_sender_sealed text; create index webhook_events_sealed on webhook_events (id);',
          test: { file: law, name: 'F30: indexes of tables that may have grown' },
        },
        {
          name: 'large tables are not read under a lock',
          file: 'shared/migrations/0020_webhooks.sql',
          text: 'check (latency_ms >= 0) not valid',
          without: 'check (latency_ms >= 0)',
          test: { file: law, name: 'F30: no change of a table that may have grown' },
        },
        {
          name: 'who waits for a lock lets others pass',
          file: runner,
          text: `await client.query(\`set local lock_timeout = \${LOCK_MS}\`)`,
          without: '',
          test: { file: migrations, name: 'F30: a change that has to wait for a table' },
        },
        {
          name: 'a change that had to wait is tried again',
          file: runner,
          text: 'if (!isBusy || attempt === LOCK_ATTEMPTS_MAX) throw error',
          without: 'if (isBusy || !isBusy) throw error',
          test: { file: migrations, name: 'F30: a change that has to wait for a table' },
        },
        {
          name: 'what an interrupted try left is made anew',
          file: indexes,
          text: 'if (found?.is_valid) return',
          without: 'if (found) return',
          test: { file: migrations, name: 'F30: an index whose making was cut off' },
        },
        {
          name: 'and what is of no use goes first',
          file: indexes,
          text: `if (found) await client.query(\`drop index concurrently \${found.index}\`)`,
          without: '',
          test: { file: migrations, name: 'F30: an index whose making was cut off' },
        },
        {
          name: 'other processes wait outside of statements',
          file: runner,
          text: "'select pg_try_advisory_lock(hashtext($1)) as taken'",
          without: "'select pg_advisory_lock(hashtext($1)) is not null as taken'",
          test: { file: migrations, name: 'processes that start while an index is being made' },
        },
        {
          name: 'only what can be begun anew is outside of transactions',
          file: indexes,
          text: 'assert(isKnown,',
          without: 'assert(true || isKnown,',
          test: { file: migrations, name: 'a concurrent file holds nothing that cannot be begun anew' },
        },
      ],
    },
    {
      name: 'An upgrade forgets what was (F29)',
      guards: [
        {
          name: 'events that were given up before are found',
          file: 'shared/migrations/0022_webhook_deliveries.sql',
          text: "update webhook_deliveries set dead_at = updated_at where state = 'dead';",
          without: '',
          test: { file: 'shared/webhooks/upgrade.test.ts', name: 'F29 and F30' },
        },
        {
          name: 'code from before writes deliveries',
          file: 'shared/migrations/0020_webhooks.sql',
          text: "add column endpoint text not null default 'wallet',",
          without: "add column endpoint text not null default 'wallet', alter column endpoint drop default,",
          test: { file: 'shared/webhooks/upgrade.test.ts', name: 'F29 and F30' },
        },
        {
          name: 'payments from before count for their grants',
          file: 'shared/migrations/0003_grant_spending_before.sql',
          text: 'where p.grant_interval_start is not null',
          without: 'where p.grant_interval_start is null',
          test: {
            file: 'shared/outgoing-payments/grant-spending-upgrade.test.ts',
            name: 'payments from before limits are counted by the upgrade',
          },
        },
      ],
    },
    {
      name: 'Clocks that disagree (F32)',
      guards: [
        {
          name: 'the fee that was set last counts',
          file: 'shared/assets/store.ts',
          text: "(select max(o.created_at) + interval '1 millisecond' from fees o",
          without: "(select max(o.created_at) - interval '1 day' from fees o",
          test: { file: 'shared/assets/assets.test.ts', name: 'F32: the fee that was set last counts' },
        },
        {
          name: 'work is due by either clock',
          file: 'shared/queue/store.ts',
          text: `sql\`greatest(\${now}::timestamptz, now())\``,
          without: `sql\`\${now}::timestamptz\``,
          test: { file: 'shared/queue/queue.test.ts', name: 'F32: workers whose clocks disagree' },
        },
        {
          name: 'leases are by the database’s clock',
          file: 'shared/queue/store.ts',
          text: `set \${leased(input.leaseSeconds)}`,
          without: `set lease_token = j.lease_token + 1, attempts = j.attempts + 1,
            lease_until = \${now}::timestamptz + make_interval(secs => \${input.leaseSeconds}::float8)`,
          test: { file: 'shared/queue/queue.test.ts', name: 'F32: what a worker holds whose clock' },
        },
      ],
    },
  ],
}
