import type { ThreatTable } from '../guard.ts'

const queueTests = 'shared/queue/queue.test.ts'
const worker = 'functions/payments/worker.ts'
const workerTests = 'functions/payments/worker.test.ts'
const consume = 'shared/queue/consume-jobs.ts'
const store = 'shared/queue/store.ts'
const failures = 'shared/outgoing-payments/failures.ts'
const failureTests = 'shared/outgoing-payments/failures.test.ts'
const session = 'shared/ledger/tigerbeetle/session.ts'
const clientTests = 'shared/ledger/tigerbeetle/client.test.ts'

/** What keeps work going when a process, a database, Redis or the queue fails. */
export const workerFaults: ThreatTable = {
  title: 'Faults: workers, databases, queues',
  about:
    'F19 to F24, F31, F35 to F38 of our list of faults. `npm run kill-sweep` kills a node at every statement of a payment; a few points of it are in `cli/kill-sweep.test.ts`. PostgreSQL and Redis that go away in the middle of payments are in `cli/postgres-outages.test.ts` and `cli/redis-outages.test.ts`.',
  threats: [
    {
      name: 'A database that is away (F19)',
      guards: [
        {
          name: 'whoever cannot claim waits, and longer each time',
          file: consume,
          text: 'await outage(failures)',
          without: 'void outage',
          test: { file: queueTests, name: 'F19: an outage neither spins' },
        },
        {
          name: 'a row of failures is a few lines',
          file: 'shared/platform/log.ts',
          text: '(failuresInARow & (failuresInARow - 1)) === 0',
          without: 'failuresInARow > 0',
          test: { file: 'shared/platform/log.test.ts', name: 'F19: a row of failures' },
        },
      ],
    },
    {
      name: 'Polling (F20)',
      guards: [
        {
          name: 'a payments worker without work hardly asks',
          file: worker,
          text: 'idleMs: Math.max(options.outgoingIdleMs, IDLE_MS_MIN),',
          without: 'idleMs: options.outgoingIdleMs,',
          test: { file: 'cli/lost-queue.test.ts', name: 'F20: a bank that has nothing to do' },
        },
        {
          name: 'work is announced',
          file: consume,
          text: 'if (payload === undefined || payload === queue) claimGate.wake()',
          without: 'if (payload === undefined) claimGate.wake()',
          test: { file: queueTests, name: 'F20: a notification wakes an idle worker' },
        },
      ],
    },
    {
      name: 'Slow payments (F21)',
      guards: [
        {
          name: 'hundreds wait side by side',
          file: worker,
          text: 'concurrency: options.outgoingWorkers * OUTGOING_PER_WORKER,',
          without: 'concurrency: options.outgoingWorkers,',
          test: { file: workerTests, name: 'F21: two hundred payments that hang' },
        },
      ],
    },
    {
      name: 'Old work behind young (F22)',
      guards: [
        {
          name: 'what is due first begins first',
          file: store,
          text: 'order by claimed.run_at, claimed.key',
          without: 'order by claimed.key',
          test: { file: queueTests, name: 'F22: jobs run oldest first, across tenants' },
        },
        {
          name: 'of each tenant too',
          file: store,
          text: 'order by j.run_at limit least(',
          without: 'order by j.run_at desc limit least(',
          test: { file: queueTests, name: 'F22: under constant overload' },
        },
      ],
    },
    {
      name: 'Attempts without end, or too few (F23)',
      guards: [
        {
          name: 'attempts are counted',
          file: failures,
          text: 'if (failed >= input.attemptsMax || isExpired) return undefined',
          without: 'if (isExpired) return undefined',
          test: { file: failureTests, name: 'F23: counted attempts wait' },
        },
        {
          name: 'a database that is away is no attempt',
          file: failures,
          text: 'if (error.retryable) throw error',
          without: '',
          test: { file: failureTests, name: 'F23: what is no matter of the payment' },
        },
        {
          name: 'nor is a connector that is away',
          file: failures,
          text: "connector_unavailable: 'wait',",
          without: "connector_unavailable: 'retry',",
          test: { file: failureTests, name: 'F23: every failure has its class' },
        },
      ],
    },
    {
      name: 'Payments that nobody funds (F24)',
      guards: [
        {
          name: 'they are cancelled when the operator says so',
          file: 'shared/outgoing-payments/sweep.ts',
          text: "if (await cancelPayment(ctx.db, 'all', input, event)) cancelled.push(row.id)",
          without: 'if (input && event) cancelled.push(row.id)',
          test: {
            file: 'shared/outgoing-payments/create-outgoing-payment.test.ts',
            name: 'F24: with a time limit',
          },
        },
      ],
    },
    {
      name: 'Processes that end in the middle (F31)',
      guards: [
        {
          name: 'a drain waits for what is in flight',
          file: consume,
          text: 'while (!closing || runner.running() > 0 || finished.length > 0) {',
          without: 'while (!closing) {',
          test: { file: workerTests, name: 'F31: closing waits for' },
        },
        {
          name: 'a job over which processes die does not end one after the other',
          file: store,
          text: `case when j.attempts < \${VANISHED_MAX}::int then j.run_at`,
          without: `case when \${VANISHED_MAX}::int > 0 then j.run_at`,
          test: { file: 'shared/queue/leases.test.ts', name: 'F31: a job whose workers die over it' },
        },
        {
          name: 'what a dead connector holds is waited for',
          file: 'connector/rpc/send-ledger.ts',
          text: 'if (account.debitsPending === 0n) return reconcile(',
          without: 'if (account.id) return reconcile(',
          test: { file: 'connector/rpc/rpc.test.ts', name: 'F31: money that a dead connector' },
        },
      ],
    },
    {
      name: 'Receipts without Redis (F34, F35)',
      guards: [
        {
          name: 'no packet waits for a Redis that was away a moment ago',
          file: 'connector/receipts/stream-totals.ts',
          text: 'if (clock.nowMs() < retryAtMs) return undefined',
          without: '',
          test: { file: 'connector/receipts/stream-totals.test.ts', name: 'it is asked once a second' },
        },
        {
          name: 'nothing piles up behind one that is silent',
          file: 'shared/platform/redis.ts',
          text: '    socketTimeout: SILENCE_MS + blockMs,\n',
          without: '',
          test: { file: 'shared/platform/redis-silence.test.ts', name: 'a Redis that stays silent' },
        },
        {
          name: 'a missing receipt is counted',
          file: 'connector/pipeline/receipt-total.ts',
          text: "ctx.counters.count('missing_receipts')",
          without: '',
          test: {
            file: 'connector/receipts/outages.test.ts',
            name: 'packets are fulfilled without receipts',
          },
        },
        {
          name: 'nor a total beyond what a receipt can state makes a Reject of it',
          file: 'connector/pipeline/receipt-total.ts',
          text: 'total !== undefined && total <= AMOUNT_MAX',
          without: 'total !== undefined',
          test: {
            file: 'connector/pipeline/wallet-address.test.ts',
            name: 'what no receipt can state any more',
          },
        },
        {
          name: 'a packet is fulfilled without its receipt',
          file: 'connector/receipts/stream-totals.ts',
          text: "log.debug({ reason: messageOf(error) }, 'no receipt: redis is away')\n        return undefined",
          without:
            "log.debug({ reason: messageOf(error) }, 'no receipt: redis is away')\n        throw error",
          test: {
            file: 'connector/receipts/outages.test.ts',
            name: 'packets are fulfilled without receipts',
          },
        },
      ],
    },
    {
      name: 'A queue that is lost (F36)',
      guards: [
        {
          name: 'payments without a job are found',
          file: 'functions/payments/tasks.ts',
          text: 'sweepOutgoingPayments(ctx, { limit: SWEEP_SIZE })',
          without: 'Promise.resolve(sweepOutgoingPayments ? [] : [])',
          test: { file: workerTests, name: 'F36: what a crash left' },
        },
        {
          name: 'so are receivers',
          file: 'shared/incoming-payments/process-incoming-payment.ts',
          text: 'enqueueDue(ctx.db, ctx.clock.fromNow(-OVERDUE_MS), limit)',
          without: 'Promise.resolve(limit > OVERDUE_MS && enqueueDue ? [] : [])',
          test: {
            file: 'shared/incoming-payments/incoming-payments.test.ts',
            name: 'F36: the sweep asks again',
          },
        },
      ],
    },
    {
      name: 'Jobs that come twice, late or again while they run (F37)',
      guards: [
        {
          name: 'what is asked for during a run runs again',
          file: store,
          text: 'set requested = jobs.requested + 1,',
          without: 'set requested = jobs.requested,',
          test: { file: queueTests, name: 'F37: a job that is asked for while it runs' },
        },
        {
          name: 'a payment is recorded by whoever holds its lease',
          file: store,
          text: 'if (row === undefined) throw new LeaseLost(job.queue, job.key)',
          without: "if (row === undefined) return { status: 'finished' }",
          test: {
            file: 'shared/outgoing-payments/crashes.test.ts',
            name: 'F37: a worker that lost its lease',
          },
        },
      ],
    },
    {
      name: 'TigerBeetle that is silent (F38)',
      guards: [
        {
          name: 'a call ends in time',
          file: session,
          text: 'const isOver = closed || performance.now() + pauseMs >= deadline',
          without: 'const isOver = closed',
          test: { file: clientTests, name: 'F38: a cluster that is away' },
        },
        {
          name: 'a client that was silent sends nothing later',
          file: session,
          text: 'if (isPassing(error)) discard(opening, connection, error)',
          without: 'void discard',
          test: { file: clientTests, name: 'F38: silence is repeated' },
        },
        {
          name: 'a name that does not resolve is silence',
          file: session,
          text: '(isSystemError(error) && code !== TOO_MUCH_DATA)',
          without: '(isSystemError(error) && code === TOO_MUCH_DATA)',
          test: { file: clientTests, name: 'F38: a name that does not resolve' },
        },
      ],
    },
  ],
}
