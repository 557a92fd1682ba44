import type { ThreatTable } from '../guard.ts'

const worker = 'functions/webhooks/worker.ts'
const deliver = 'shared/webhooks/deliver-webhook.ts'
const model = 'shared/webhooks/model.ts'
const store = 'shared/webhooks/store.ts'
const resending = 'shared/webhooks/deliveries-store.ts'
const queue = 'shared/queue/store.ts'
const shares = 'shared/queue/shares.ts'
const faults = 'functions/webhooks/faults.test.ts'
const isolation = 'functions/webhooks/isolation.test.ts'
const room = 'shared/webhooks/webhooks.test.ts'
const recording = 'shared/webhooks/recording.test.ts'
const shown = 'functions/admin/webhook-events.test.ts'

/** What keeps webhooks from being lost, late, forged or sent where they must not go. */
export const webhookThreats: ThreatTable = {
  title: 'Webhooks',
  about:
    'F11 to F18 of our list of faults, each as a test against the worker as it is deployed. A wallet that keeps its books from webhooks alone, and whose endpoint goes through all of it, is in `functions/webhooks/reference-wallet.test.ts`.',
  threats: [
    {
      name: 'Events that are given up while a wallet is down (F11)',
      guards: [
        {
          name: 'attempts go on for 72 hours',
          file: model,
          text: 'if (elapsedMs >= TIME_MS_MAX) return undefined',
          without: 'if (elapsedMs >= 7 * MINUTE) return undefined',
          test: {
            file: faults,
            name: 'F11: an endpoint that was down for 15 minutes',
          },
        },
        {
          name: 'what failed together does not come back together',
          file: model,
          text: '* (1 + random * JITTER))',
          without: '* (1 + 0 * random * JITTER))',
          test: { file: room, name: 'without a limit attempts go on for 72 hours' },
        },
        {
          name: 'a limit is honoured',
          file: model,
          text: 'if (attemptsMax !== undefined && attempts >= attemptsMax) return undefined',
          without: '',
          test: { file: room, name: 'a limit of attempts ends in a dead delivery' },
        },
        {
          name: 'what was given up is found',
          file: store,
          text: "dead_at = case when made.state = 'dead' then made.now end",
          without: 'dead_at = null::timestamptz',
          test: { file: shown, name: 'dead ones are found, and sent again all at once' },
        },
        {
          name: 'what is sent again has new chances',
          file: resending,
          text: 'attempts_before = attempts, dead_at',
          without: 'attempts_before = attempts_before, dead_at',
          test: { file: shown, name: 'dead ones are found, and sent again all at once' },
        },
        {
          name: 'failed attempts are kept',
          file: store,
          text: "where made.number is not null and made.state <> 'delivered'",
          without: 'where made.number is null',
          test: { file: shown, name: 'an event tells where it went and what was tried' },
        },
      ],
    },
    {
      name: 'Endpoints that hang (F12)',
      guards: [
        {
          name: 'a process holds many more deliveries than tenants have in common',
          file: worker,
          text: 'concurrency: options.workers * DELIVERIES_PER_WORKER_MAX',
          without: 'concurrency: options.workers * PER_WORKER.common',
          test: { file: isolation, name: 'forty endpoints that hang with backlogs' },
        },
        {
          name: 'a host has no limit of its own',
          file: 'functions/webhooks/wiring.ts',
          text: 'connectionsPerHost: config.workers * DELIVERIES_PER_WORKER_MAX',
          without: 'connectionsPerHost: 64',
          test: { file: isolation, name: 'forty endpoints that hang with backlogs' },
        },
        {
          name: 'own places are free whatever is in common',
          file: queue,
          text: `next.place > coalesce(known.own, \${free.idle.own}::int) as is_common`,
          without: `next.place > coalesce(known.own, \${free.idle.own}::int) * 0 as is_common`,
          test: { file: 'shared/queue/queue.test.ts', name: 'a claim takes what fits into own places' },
        },
        {
          name: 'what is in common is limited',
          file: queue,
          text: `<= \${free.common}::int as has_place`,
          without: `<= \${free.common + 10_000}::int as has_place`,
          test: { file: 'shared/queue/queue.test.ts', name: 'a claim takes what fits into own places' },
        },
        {
          name: 'a tenant has a limited share',
          file: queue,
          text: `limit least(\${limit}::int, coalesce(known.places, \${free.idle.places}::int))`,
          without: `limit greatest(\${limit}::int, coalesce(known.places, \${free.idle.places}::int))`,
          test: { file: 'shared/queue/queue.test.ts', name: 'a tenant with a backlog holds only its share' },
        },
        {
          name: 'silence takes places away',
          file: shares,
          text: "if (otherSide === 'silent') windows.set",
          without: "if (otherSide === 'silent' && ms < 0) windows.set",
          test: { file: 'shared/queue/shares.test.ts', name: 'silence halves the share' },
        },
        {
          name: 'nobody answered is silence',
          file: deliver,
          text: "const SILENT = new Set(['request_timeout', 'connection_failed'])",
          without: 'const SILENT = new Set<string>()',
          test: {
            file: isolation,
            name: 'an endpoint that stays silent comes down to one delivery at a time',
          },
        },
      ],
    },
    {
      name: 'Events that cannot be sent (F13)',
      guards: [
        {
          name: 'an event that cannot be signed has had its attempt',
          file: deliver,
          text: 'return { recipient, result: cannotSend(ctx, delivery, error) }',
          without: 'throw error',
          test: { file: faults, name: 'F13: an event that cannot be signed' },
        },
        {
          name: 'so has one whose recipient cannot be read',
          file: deliver,
          text: 'return { result: cannotSend(ctx, delivery, error) }',
          without: 'throw error',
          test: { file: faults, name: 'F13: an event that cannot be signed' },
        },
      ],
    },
    {
      name: 'One event at a time (F14)',
      guards: [
        {
          name: 'a tenant has several places',
          file: worker,
          text: '{ own: 8, most: 128, common: 256 }',
          without: '{ own: 1, most: 1, common: 0 }',
          test: { file: faults, name: 'F14: slow answers are waited for side by side' },
        },
        {
          name: 'prompt answers earn more',
          file: shares,
          text: 'else if (ms <= prompt) windows.set',
          without: 'else if (ms < 0) windows.set',
          test: {
            file: 'functions/webhooks/webhooks.test.ts',
            name: 'the default worker keeps many deliveries',
          },
        },
      ],
    },
    {
      name: 'Answers that are lost (F15, F16)',
      guards: [
        {
          name: 'an event keeps its id',
          file: deliver,
          text: 'const body = { id: event.id,',
          without: 'const body = { id: crypto.randomUUID(),',
          test: { file: faults, name: 'F15: an answer that is lost after the commit' },
        },
        {
          name: 'what was delivered is not sent again by itself',
          file: deliver,
          text: "if (!delivery || delivery.state !== 'pending') return done",
          without: 'if (!delivery) return done',
          test: { file: room, name: 'a worker that lost its lease records no attempt' },
        },
        {
          name: 'a deposit that is there is success',
          file: 'shared/outgoing-payments/fund-outgoing-payment.ts',
          text: "if (payment.state === 'CANCELLED')\n    throw",
          without: 'if (payment.state)\n    throw',
          test: {
            file: 'shared/outgoing-payments/side-events.test.ts',
            name: 'F16: a deposit that is asked for again',
          },
        },
      ],
    },
    {
      name: 'Events that nobody sends (F17)',
      guards: [
        {
          name: 'a lease ends',
          file: queue,
          text: '(j.lease_until is null or j.lease_until <= now())',
          without: '(j.lease_until is null)',
          test: { file: faults, name: 'F17: an event is sent although nobody was told of it' },
        },
        {
          name: 'work is looked for without being told',
          file: 'shared/queue/consume-jobs.ts',
          text: 'return Math.min(options.idleMs, Math.max(claim.nextMs ?? options.idleMs, 1))',
          without: 'return Math.max(claim.nextMs ?? 600_000, 1)',
          test: {
            file: 'shared/queue/queue.test.ts',
            name: 'without notifications the safety poll finds work',
          },
        },
        {
          name: 'a delivery is ended by whoever holds its lease',
          file: queue,
          text: 'on j.key = held.key and j.lease_token = held.lease_token',
          without: 'on j.key = held.key',
          test: { file: recording, name: 'F17: of deliveries recorded together' },
        },
        {
          name: 'an attempt is noted by whoever holds its lease',
          file: store,
          text: 'if (!recorded) throw new LeaseLost(job.queue, job.key)',
          without: '',
          test: { file: recording, name: 'attempts that are followed by others' },
        },
        {
          name: 'what was sent again meanwhile is sent again',
          file: queue,
          text: 'select key from leases where not again',
          without: 'select key from leases',
          test: { file: 'shared/queue/leases.test.ts', name: 'F37: of jobs that end in one statement' },
        },
      ],
    },
    {
      name: 'Answers that are no acceptance (F18)',
      guards: [
        {
          name: '200 alone is acceptance',
          file: model,
          text: "'status' in result && result.status === 200",
          without: "'status' in result && result.status < 300",
          test: { file: faults, name: 'F18, trap 5: 200 alone is acceptance' },
        },
      ],
    },
    {
      name: 'Order and kinds of events',
      guards: [
        {
          name: 'first attempts about one payment keep their order',
          file: store,
          text: 'd.attempts = 0 and exists (',
          without: 'd.attempts < 0 and exists (',
          test: { file: room, name: 'first attempts about one payment keep their order' },
        },
        {
          name: 'kinds that wallets do not know go to those that asked (trap 3)',
          file: 'shared/tenants/webhooks.ts',
          text: 'settings[index]?.webhookExtraEvents.includes(type)',
          without: 'settings[index]?.webhookExtraEvents && type',
          test: {
            file: 'shared/outgoing-payments/side-events.test.ts',
            name: 'trap 3: event types that wallets do not know',
          },
        },
        {
          name: 'low liquidity is told once',
          file: 'functions/webhooks/liquidity-store.ts',
          text: 'exists (select from low_liquidity l where l.account_id = watched.id) as is_announced',
          without: 'false as is_announced',
          test: { file: 'functions/webhooks/liquidity.test.ts', name: 'announced once per crossing' },
        },
      ],
    },
    {
      name: 'Requests to the inside, by a tenant’s webhook or rates URL (A3)',
      guards: [
        {
          name: 'a URL that a tenant sets is its own word',
          file: 'shared/tenants/tenants.ts',
          text: '{ at: ctx.clock.now(), byOperator: false }',
          without: '{ at: ctx.clock.now(), byOperator: true }',
          test: {
            file: 'shared/tenants/tenants.test.ts',
            name: 'A3: URLs that tenants set for themselves are not trusted',
          },
        },
        {
          name: 'and stays that after the operator had set another',
          file: 'shared/tenants/store.ts',
          text: '(tenant_settings.by_operator and tenant_settings.value = excluded.value)',
          without: 'tenant_settings.by_operator',
          test: {
            file: 'shared/tenants/tenants.test.ts',
            name: 'A3: URLs that tenants set for themselves are not trusted',
          },
        },
        {
          name: 'rates are asked for through the guarded client',
          file: 'connector/wiring.ts',
          text: "untrustedUrls.includes('EXCHANGE_RATES_URL') ? node.guardedHttp : node.trustedHttp",
          without: "untrustedUrls.includes('EXCHANGE_RATES_URL') ? node.trustedHttp : node.trustedHttp",
          test: { file: 'connector/tenant-settings.test.ts', name: 'A3: its rates are asked for' },
        },
        {
          name: 'webhooks go there through the guarded client',
          file: deliver,
          text: 'recipient.isGuarded ? ctx.guardedHttp : ctx.trustedHttp',
          without: 'ctx.trustedHttp',
          test: {
            file: 'functions/webhooks/webhooks.test.ts',
            name: 'A3: a URL that a tenant has set for itself',
          },
        },
      ],
    },
    {
      name: 'Answers of the operator’s endpoint',
      guards: [
        {
          name: 'are not for tenants whose events go there',
          file: 'shared/tenants/webhooks.ts',
          text: 'if (since !== undefined && startedAtMs >= since.getTime()) return attempt',
          without: 'return attempt',
          test: { file: shown, name: 'what the operator’s endpoint says about a tenant’s events' },
        },
        {
          name: 'nor for those that had theirs go there',
          file: 'shared/tenants/webhooks.ts',
          text: 'since !== undefined && startedAtMs >= since.getTime()',
          without: 'since !== undefined',
          test: { file: shown, name: 'what the operator’s endpoint says about a tenant’s events' },
        },
        {
          name: 'nor in the story of a payment',
          file: 'shared/incoming-payments/timeline.ts',
          text: 'attemptEntry(delivery, seen(attempt))',
          without: 'attemptEntry(delivery, attempt)',
          test: { file: shown, name: 'what the operator’s endpoint says about a tenant’s events' },
        },
      ],
    },
    {
      name: 'Forged webhooks (A7)',
      guards: [
        {
          name: 'a tenant’s secret is its own',
          file: 'shared/tenants/webhooks.ts',
          text: 'if (!own?.found) return nodeSecrets(ctx.settings)',
          without: 'if (!own?.found || own) return nodeSecrets(ctx.settings)',
          test: {
            file: 'shared/tenants/tenants.test.ts',
            name: 'A7: each tenant’s webhooks are signed with its own secret',
          },
        },
        {
          name: 'the operator does not get what is signed for a tenant’s own endpoint',
          file: 'shared/tenants/webhooks.ts',
          text: 'const own = isOwnEndpoint\n',
          without: 'const own = isOwnEndpoint !== undefined\n',
          test: {
            file: 'shared/tenants/tenants.test.ts',
            name: 'A7: each tenant’s webhooks are signed with its own secret',
          },
        },
        {
          name: 'a secret that was replaced ends',
          file: 'shared/tenants/webhooks.ts',
          text: 'previous && previous.until > ctx.clock.now() && {',
          without: 'previous && {',
          test: {
            file: 'shared/tenants/tenants.test.ts',
            name: 'A7: each tenant’s webhooks are signed with its own secret',
          },
        },
        {
          name: 'while secrets change, a receiver that knows the old one is not lost',
          file: deliver,
          text: 'if (isLast || !SIGNATURE_REFUSED.has(response.status))',
          without: 'if (isLast || response.status)',
          test: { file: faults, name: 'while secrets change, a receiver that knows either can verify' },
        },
      ],
    },
  ],
}
