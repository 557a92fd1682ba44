import type { ThreatTable } from '../guard.ts'

const session = 'shared/ledger/tigerbeetle/session.ts'
const requests = 'shared/ledger/tigerbeetle/requests.ts'
const repeats = 'shared/ledger/tigerbeetle/repeats.ts'
const client = 'shared/ledger/tigerbeetle/client.test.ts'
const repeatTests = 'shared/ledger/tigerbeetle/repeats.test.ts'
const ending = 'shared/incoming-payments/process-incoming-payment.ts'
const endTests = 'shared/incoming-payments/incoming-payments.test.ts'

/** What keeps the ledger from answering what it does not know, and from taking what it should not. */
export const ledgerThreats: ThreatTable = {
  title: 'Ledgers',
  about:
    'F25, F26 and F38 to F40 of our list of faults. The same events on every ledger: `shared/ledger/contract.ts`; with a TigerBeetle server that is killed: `shared/ledger/tigerbeetle/outages.test.ts`.',
  threats: [
    {
      name: 'TigerBeetle waits for ever, and sends later what nobody expects any more (F38)',
      guards: [
        {
          name: 'a client that is silent is destroyed with what it would send',
          file: session,
          text: 'if (!EVICTIONS.includes(codeOf(reason))) connection.client.destroy()',
          without: '',
          test: { file: client, name: 'a cluster that is away' },
        },
        {
          name: 'a client that was never answered is asked nothing',
          file: session,
          text: 'await within(waits, client.lookupAccounts([ANY_ID]), options.connectMsMax)',
          without: 'void client.lookupAccounts([ANY_ID]).catch(() => undefined)',
          test: { file: client, name: 'a client that was not answered yet is asked nothing' },
        },
        {
          name: 'a client that was evicted is not destroyed: that would end the process',
          file: session,
          text: 'if (!EVICTIONS.includes(codeOf(reason))) connection',
          without: 'connection',
          test: { file: client, name: 'a client that was evicted is replaced' },
        },
        {
          name: 'a close waits so long and no longer',
          file: 'shared/ledger/tigerbeetle/ledger.ts',
          text: 'await Promise.race([drained, waited])',
          without: 'await drained',
          test: { file: client, name: 'closing waits for an answer' },
        },
      ],
    },
    {
      name: 'An outcome that is made up (F39, F40)',
      guards: [
        {
          name: 'an answer that nobody knows is none',
          file: 'shared/ledger/tigerbeetle/statuses.ts',
          text: "if (status === undefined || status === 'unasked')",
          without: 'if (false)',
          test: { file: client, name: 'a number that nobody knows' },
        },
        {
          name: 'a repeated chain is compared, all of it',
          file: requests,
          text: 'if (encoded.slice(first, end).every((event) => isSameTransfer(event, stored)))',
          without: 'if (stored)',
          test: { file: client, name: 'a repeated chain exists only when all of it does' },
        },
        {
          name: 'a post is compared with what it inherits',
          file: repeats,
          text: 'stored.user_data_128 === (asked.user_data_128 || pending.user_data_128) &&',
          without: '',
          test: { file: repeatTests, name: 'a post or void is the same' },
        },
        {
          name: 'chains are not cut between messages',
          file: 'shared/ledger/tigerbeetle/messages.ts',
          text: 'if (!isLinked(items[end - 1] as Item)) return end',
          without: 'return end',
          test: { file: client, name: 'a server that takes smaller messages' },
        },
      ],
    },
    {
      name: 'Money for a payment that has ended (F25, F26)',
      guards: [
        {
          name: 'the account is closed before the last total is read',
          file: ending,
          text: 'await closeForGood(ctx, fresh)',
          without: 'void closeForGood',
          test: { file: endTests, name: 'the ledger itself refuses money' },
        },
        {
          name: 'a closed account takes nothing on the fast path either',
          file: 'shared/ledger/postgres/migrations/0002_closed_accounts.sql',
          text: '      and not a.closed\n',
          without: '',
          test: { file: endTests, name: 'the ledger itself refuses money' },
        },
        {
          name: 'a withdrawal goes through the closed account and leaves it closed',
          file: 'shared/assets/liquidity.ts',
          text: 'if (input.mayBeClosed && (await isClosed(ctx, input.accountId)))',
          without: 'if (false as boolean)',
          test: { file: endTests, name: 'the ledger itself refuses money' },
        },
        {
          name: 'a withdrawal in two steps too',
          file: 'shared/outgoing-payments/withdrawals.ts',
          text: 'if (account?.closed) return await moveThroughClosed(ctx, account, event)',
          without: '',
          test: {
            file: 'shared/outgoing-payments/liquidity.test.ts',
            name: 'what a closed payment received is withdrawn in two steps',
          },
        },
      ],
    },
  ],
}
