import type { ThreatTable } from '../guard.ts'

const messages = 'shared/queue/handle-messages.ts'
const published = 'shared/queue/published-store.ts'
const relay = 'shared/queue/relay.ts'
const redis = 'shared/queue/drivers/redis/consume.ts'
const sqs = 'shared/queue/drivers/sqs/consume.ts'
const inHand = 'shared/queue/drivers/in-hand.ts'
const onRedis = 'shared/queue/redis.contract.test.ts'
const onSqs = 'shared/queue/sqs.contract.test.ts'
const publishedTests = 'shared/queue/published-store.test.ts'
const relayTests = 'shared/queue/relay.test.ts'
const functionTests = 'functions/relay/windows.test.ts'
const earnings = 'shared/queue/earnings.ts'
const earningsTests = 'shared/queue/earnings.test.ts'
const handler = 'shared/aws-lambda/queue-handler.test.ts'

/** What brokers do to messages, and what must not come of it. */
export const queueDriverThreats: ThreatTable = {
  title: 'Queue drivers',
  about:
    'Redis and SQS carry ids of jobs. One suite runs on each (`shared/queue/contract.ts`); without Redis its half is skipped.',
  threats: [
    {
      name: 'Messages that are lost',
      guards: [
        {
          name: 'a job whose message led to nothing is published again',
          file: published,
          text: 'j.published_until > now())',
          without: 'true)',
          test: { file: onRedis, name: 'everything is done although the broker lost all it had' },
        },
        {
          name: 'the group of a stream that was deleted is made anew',
          file: redis,
          text: '      await parts.ensureGroup()\n',
          without: '',
          test: { file: onRedis, name: 'everything is done although the broker lost all it had' },
        },
        {
          name: 'a job that a relay of another clock found due is claimed',
          file: published,
          text: ' or j.published_until is not null)',
          without: ')',
          test: { file: publishedTests, name: 'F37: a job that the relay found due' },
        },
        {
          name: 'a job without a message on its way is not taken for a due one',
          file: published,
          text: ` and \${unleased} and j.published_until is not null\n`,
          without: ` and \${unleased}\n`,
          test: {
            file: publishedTests,
            name: 'F37: a job that waits for its time is not run',
          },
        },
        {
          name: 'a queue that takes nothing does not keep the task of the relay from the others',
          file: relay,
          text: "outcome.status === 'rejected' ? [outcome.reason] : []",
          without: '[]',
          test: { file: relayTests, name: 'F36: a broker that takes nothing' },
        },
        {
          name: 'a job that wants another time is published anew when it is due',
          file: 'shared/queue/store.ts',
          text: 'published_until = null, run_at = case',
          without: "published_until = now() + interval '1 hour', run_at = case",
          test: { file: onRedis, name: 'a handler that wants a later time has it' },
        },
        {
          name: 'a job asked for while it ran is announced to the relay',
          file: messages,
          text: '{ announceWithinMs: ANNOUNCE_WITHIN_MS }',
          without: '{}',
          test: { file: onRedis, name: 'a handler that wants a later time has it' },
        },
        {
          name: 'entries of a consumer that died are taken over',
          file: redis,
          text: 'if (room <= 0) break',
          without: 'if (room <= 1e9) break',
          test: { file: onRedis, name: 'F31: a message whose consumer died' },
        },
        {
          name: 'also those behind many that are in hand',
          file: redis,
          text: '      cursor = found.cursor\n',
          without: '      cursor = FIRST_ENTRY\n',
          test: {
            file: 'shared/queue/drivers/redis/reclaim.test.ts',
            name: 'F37: entries of a consumer that died are found behind',
          },
        },
        {
          name: 'a Redis that has become a replica is left',
          file: 'shared/platform/redis.ts',
          text: "message.startsWith('READONLY')",
          without: 'message === undefined',
          test: {
            file: 'shared/platform/redis-failover.test.ts',
            name: 'a server that has become a replica',
          },
        },
        {
          name: 'a message whose job could not be claimed fails',
          file: messages,
          text: "const FAILED: Verdict = { status: 'failed' }",
          without: "const FAILED: Verdict = { status: 'done' }",
          test: { file: handler, name: 'a message whose job cannot be claimed comes again' },
        },
        {
          name: 'who closes gives back what waits for a place',
          file: messages,
          text: 'seconds: closing ? 0 : NO_ROOM_SECONDS',
          without: 'seconds: closing ? 60 : NO_ROOM_SECONDS',
          test: { file: onRedis, name: 'closing begins nothing' },
        },
      ],
    },
    {
      name: 'Messages that come twice, early or too often',
      guards: [
        {
          name: 'a job that is worked on is not claimed again',
          file: published,
          text: `any(\${[...new Set(keys)]}::uuid[]) and \${unleased}`,
          without: `any(\${[...new Set(keys)]}::uuid[])`,
          test: { file: publishedTests, name: 'a job that is worked on is not claimed by another message' },
        },
        {
          name: 'nor one that is not due',
          file: published,
          text: `and (j.run_at <= \${dueBy(input.now)} or j.published_until is not null)`,
          without: '',
          test: { file: publishedTests, name: 'a job that nobody has published is not claimed' },
        },
        {
          name: 'what is worked on is kept from other consumers',
          file: inHand,
          text: 'heartbeat ??= setInterval(beat, visibilityMs / 3)',
          without: 'heartbeat ??= setInterval(() => void beat, visibilityMs / 3)',
          test: { file: onRedis, name: 'a message is kept from others' },
        },
        {
          name: 'also on SQS',
          file: sqs,
          text: 'extend: (messages) => changeVisibility(messages, () => visibilitySeconds),',
          without: 'extend: async () => undefined,',
          test: { file: onSqs, name: 'a message is kept from others' },
        },
        {
          name: 'while nobody takes messages no copies are added',
          file: relay,
          text: 'const onlyNewcomers = await backlog.isTooLong()',
          without: 'const onlyNewcomers = false',
          test: { file: onRedis, name: 'while nobody takes messages' },
        },
        {
          name: 'of a first-in-first-out group nothing runs after one that failed',
          file: messages,
          text: "former.then(({ status }) => (status === 'failed' ? FAILED : handleOne(message)))",
          without: 'former.then(() => handleOne(message))',
          test: { file: handler, name: 'first in, first out: each group' },
        },
        {
          name: 'nor counts as done after one that could not be buried',
          file: messages,
          text: 'if (!isAfterFailure && (await',
          without: 'if ((await',
          test: { file: handler, name: 'first in, first out: also after one' },
        },
        {
          name: 'a relay that others keep from the rows does not ask without end',
          file: published,
          text: 'candidates === limit && jobs.length > 0',
          without: 'candidates === limit',
          test: { file: publishedTests, name: 'F36: a relay that others keep from the rows' },
        },
        {
          name: 'an attempt is over before the function is ended, so that it is recorded and not made again at once',
          file: 'functions/webhooks/wiring.ts',
          text: 'Math.min(recipient.timeoutMs, ATTEMPT_MS_MAX[host])',
          without: 'recipient.timeoutMs',
          test: {
            file: 'localstack/webhooks-lambda.test.ts',
            name: 'an attempt is over and recorded before a function is ended',
          },
        },
        {
          name: 'also where it takes two requests',
          file: 'shared/webhooks/deliver-webhook.ts',
          text: 'timeoutMs: Math.max(Math.ceil(until - performance.now()), 1)',
          without: 'timeoutMs: recipient.timeoutMs',
          test: { file: 'functions/webhooks/faults.test.ts', name: 'an attempt with two signatures' },
        },
      ],
    },
    {
      name: 'Messages that nobody can work on',
      guards: [
        {
          name: 'they go to the dead letters with a reason',
          file: messages,
          text: "if ('reason' in message) return { status: 'dead', reason: message.reason }",
          without: "if ('reason' in message) return DONE",
          test: { file: onRedis, name: 'what says nothing that can be worked on' },
        },
        {
          name: 'so does what fails again and again',
          file: 'shared/queue/drivers/redis/reclaim.ts',
          text: 'filter(({ receiveCount }) => receiveCount > RECEIVES_MAX)',
          without: 'filter(({ receiveCount }) => receiveCount > 1e9)',
          test: { file: onRedis, name: 'a message that fails again and again' },
        },
        {
          name: 'what cannot be buried keeps nothing from those that ended with it',
          file: redis,
          text: "await buried.catch((error: unknown) => log.warn({ reason: messageOf(error) }, 'cannot bury a message'))",
          without: 'await buried',
          test: {
            file: 'shared/queue/drivers/redis/consume.test.ts',
            name: 'what cannot be buried comes again',
          },
        },
        {
          name: 'nor from those that are taken over with it',
          file: 'shared/queue/drivers/redis/reclaim.ts',
          text: "(error: unknown) => log.warn({ reason: messageOf(error) }, 'cannot bury a message'),",
          without: '',
          test: {
            file: 'shared/queue/drivers/redis/consume.test.ts',
            name: 'F37: what was delivered too often and cannot be buried',
          },
        },
        {
          name: 'an event of another service is refused',
          file: 'shared/aws-lambda/queue-handler.ts',
          text: "record.eventSource === 'aws:sqs'",
          without: 'true',
          test: { file: handler, name: 'an event of another kind is refused' },
        },
      ],
    },
    {
      name: 'F12: one tenant’s backlog before everybody (brokers)',
      guards: [
        {
          name: 'a tenant has so many messages on their way at most',
          file: published,
          text: 'and oldest.place <= oldest.places',
          without: '',
          test: { file: publishedTests, name: 'F12: jobs of one instant' },
        },
        {
          name: 'those in hand are seen, wherever the index has them among others of their instant',
          file: published,
          text: 'fetch first (shares.places) rows with ties',
          without: 'fetch first (shares.places) rows only',
          test: { file: publishedTests, name: 'F12: jobs of one instant' },
        },
        {
          name: 'tenants with work share what is common, and so what a look reads',
          file: published,
          text: '/ (1 + count(*) over ()))::int)',
          without: '/ 2)::int)',
          test: {
            file: 'shared/queue/old-plans.test.ts',
            name: 'F12: with plans for',
          },
        },
        {
          name: 'who has nothing due takes no share',
          file: published,
          text: `j.tenant_id = t.tenant_id and j.run_at <= \${due} order by`,
          without: 'j.tenant_id = t.tenant_id order by',
          test: { file: publishedTests, name: 'F12: who has nothing due' },
        },
        {
          name: 'of a function what is worked on counts as well',
          file: published,
          text: `(\${window.countsRunning === true}::boolean or \${unleased})`,
          without: `\${unleased}`,
          test: { file: functionTests, name: 'F12: of a function one tenant' },
        },
        {
          name: 'until the lease of whoever worked on it has ended',
          file: published,
          text: `or not \${unleased} as is_in_hand`,
          without: 'or j.lease_until is not null as is_in_hand',
          test: { file: publishedTests, name: 'F12: where it is said that what is worked on counts' },
        },
        {
          name: 'of a function’s batches a tenant has a share, and one is left over',
          file: 'functions/relay/windows.ts',
          text: '{ common: batches, promptMs: PROMPT_MS }',
          without: '{ common: batches * BATCH_MAX, promptMs: PROMPT_MS }',
          test: { file: functionTests, name: 'F12: of a function one tenant' },
        },
        {
          name: 'who is slow earns nothing by it, also when many time out at the same moment',
          file: earnings,
          text: 'meanMs <= promptMs ? ended : -ended',
          without: 'ended',
          test: { file: earningsTests, name: 'what hangs keeps its share' },
        },
        {
          name: 'what was earned is lost while nothing ends',
          file: earnings,
          text: 'account.earned = Math.floor(account.earned / 2)',
          without: 'account.earned = Math.floor(account.earned)',
          test: { file: earningsTests, name: 'who was prompt and hangs' },
        },
        {
          name: 'a tenant that the broker has nothing of does not wait for a backlog there',
          file: relay,
          text: '        onlyNewcomers,\n',
          without: '        limit: onlyNewcomers ? 0 : BATCH_MAX,\n',
          test: { file: relayTests, name: 'F12: a relay that finds a long backlog' },
        },
        {
          name: 'and adds a few messages to it at most',
          file: published,
          text: `not found.was_sent and oldest.place <= \${NEWCOMER_MAX}::int`,
          without: 'not found.was_sent',
          test: { file: relayTests, name: 'F12: a relay that finds a long backlog' },
        },
        {
          name: 'once',
          file: published,
          text: 'not found.was_sent and ',
          without: '',
          test: { file: relayTests, name: 'F12: a relay that finds a long backlog' },
        },
        {
          name: 'repeats of what waits for a place take no room',
          file: messages,
          text: '      if (waiting.has(message.key)) return DONE\n',
          without: '',
          test: {
            file: 'shared/queue/handle-messages.test.ts',
            name: 'F12: while a message waits for a place',
          },
        },
        {
          name: 'of those that wait each tenant gets one after the other',
          file: 'shared/queue/places.ts',
          text: '      waiting.delete(tenantId)\n      if (queue.length > 0) waiting.set(tenantId, queue)\n',
          without: '      if (queue.length === 0) waiting.delete(tenantId)\n',
          test: { file: 'shared/queue/places.test.ts', name: 'of those that wait each tenant' },
        },
        {
          name: 'what has no place waits beside the others, not before them',
          file: 'shared/queue/places.ts',
          text: 'if (!shares.hasPlace(tenantId)) continue',
          without: 'if (!shares.hasPlace(tenantId)) break',
          test: { file: 'shared/queue/places.test.ts', name: 'who has no place holds up nobody' },
        },
      ],
    },
  ],
}
