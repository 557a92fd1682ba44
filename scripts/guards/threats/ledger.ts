import type { ThreatTable } from '../guard.ts'

const session = 'shared/ledger/tigerbeetle/session.ts'
const requests = 'shared/ledger/tigerbeetle/requests.ts'
const repeats = 'shared/ledger/tigerbeetle/repeats.ts'
const client = 'shared/ledger/tigerbeetle/client.test.ts'
const repeatTests = 'shared/ledger/tigerbeetle/repeats.test.ts'
const fastPathSql = 'shared/ledger/postgres/migrations/0004_closes_on_the_fast_path.sql'
const planning = 'shared/ledger/postgres/clean-batch.ts'
const paths = 'shared/ledger/postgres/paths.test.ts'
const accountsSql = 'shared/ledger/postgres/migrations/0005_accounts_in_one_statement.sql'
const postgres = 'shared/ledger/postgres/ledger.test.ts'
const foreign = 'shared/ledger/postgres/foreign-accounts.test.ts'
const model = 'shared/ledger/ledger.property.test.ts'
const ending = 'shared/incoming-payments/process-incoming-payment.ts'
const deadlines = 'shared/ledger/deadlines.ts'
const overRpc = 'connector/rpc/ledger-rpc.test.ts'
const audit = 'shared/ledger/audit-contents.ts'
const auditing = 'shared/ledger/audit-contents.test.ts'
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
      name: 'Accounts and amounts that are not what was said',
      guards: [
        {
          name: 'an account that comes twice is made once',
          file: accountsSql,
          text: ' and array_position(p_ids, a.id) = e then',
          without: ' then',
          test: { file: model, name: 'accounts, alone and in chains' },
        },
        {
          name: 'a chain of accounts is made whole or not at all',
          file: accountsSql,
          text: 'if n > 1 and true <> all (p_linked) and',
          without: 'if n > 1 and',
          test: { file: model, name: 'accounts, alone and in chains' },
        },
        {
          name: 'what is wrong with an account keeps it out',
          file: accountsSql,
          text: ' and cardinality(array_remove(p_refusal, null)) = 0 then',
          without: ' then',
          test: { file: model, name: 'accounts, alone and in chains' },
        },
        {
          name: 'no transfer of nothing, or of less, is stored',
          file: 'shared/ledger/postgres/migrations/0006_amounts_checked_in_short.sql',
          text: 'amount >= (kind < 3)::integer',
          without: 'amount >= -1',
          test: {
            file: 'shared/ledger/postgres/limits.test.ts',
            name: 'rows that no function of the ledger',
          },
        },
      ],
    },
    {
      name: 'Ledgers that are written at the same time',
      guards: [
        {
          name: 'a batch writes accounts of the ledgers that it has locked, and no others',
          file: 'shared/ledger/postgres/migrations/0007_accounts_of_locked_ledgers.sql',
          text: 'a_ledger[m.n] = any (v_locked)',
          without: 'a_ledger[m.n] is not null',
          test: { file: foreign, name: 'a refused event changes nothing of an account on another ledger' },
        },
        {
          name: 'nor what was not there when it looked',
          file: 'shared/ledger/postgres/migrations/0007_accounts_of_locked_ledgers.sql',
          text: 'a_ledger[m.n] = any (v_locked)',
          without: '(a_ledger[m.n] = any (v_locked)) is not false',
          test: { file: foreign, name: 'a batch that names an account which others make' },
        },
      ],
    },
    {
      name: 'Accounts that transfers need: money on an account that is another, or none made by who does not know them',
      guards: [
        {
          name: 'in Postgres no transfer of the batch is booked while an account of it is refused',
          file: 'shared/ledger/postgres/clean-parameters.ts',
          text: "made.statuses ~ '^(created|exists)(,(created|exists))*$'",
          without: "made.statuses ~ 'e'",
          test: { file: postgres, name: 'where an account exists with other fields' },
        },
        {
          name: 'nor, in order, the transfer whose account it is',
          file: 'shared/ledger/postgres/ordered-batch.ts',
          text: "(refused.has(event) ? 'needed_account_refused' : undefined),\n",
          without: 'undefined,\n',
          test: { file: postgres, name: 'where an account exists with other fields' },
        },
        {
          name: 'in TigerBeetle it is spoilt',
          file: requests,
          text: "(refused.has(event) ? 'needed_account_refused' : undefined)",
          without: 'undefined',
          test: { file: client, name: 'accounts that transfers need go before them' },
        },
        {
          name: 'a transfer that exists is compared as it was sent first',
          file: requests,
          text: 'const encoded = events.map((event) => encodeTransfer(event))',
          without:
            'const encoded = events.map((event) => encodeTransfer(event, refusalOf(event) !== undefined))',
          test: { file: client, name: 'accounts that transfers need go before them' },
        },
        {
          name: 'a connector that would not see them is asked in a way that it refuses',
          file: 'shared/ledger/rpc/ledger.ts',
          text: "if (accountsNeededBy(events).length === 0) return await askTransfers('createTransfers', events)",
          without: "if (events.length > 0) return await askTransfers('createTransfers', events)",
          test: { file: overRpc, name: 'a connector that does not know accounts' },
        },
        {
          name: 'and whose accounts it refuses then, moves nothing',
          file: 'shared/ledger/rpc/ledger.ts',
          text: 'if (culprit < 0) continue',
          without: 'if (culprit < 2 ** 31) continue',
          test: { file: overRpc, name: 'a connector that does not know accounts' },
        },
        {
          name: 'the locks of both are taken in the order of everybody',
          file: 'shared/ledger/postgres/clean-parameters.ts',
          text: 'select case when ledger.take_locks($2::integer[] || 128) is not null',
          without: 'select case when true',
          test: { file: paths, name: 'who makes accounts with transfers' },
        },
        {
          name: 'no account is linked to what another call made',
          file: 'shared/ledger/checks.ts',
          text: 'accounts.every(({ linked }) => linked !== true),',
          without: 'accounts.length >= 0,',
          test: { file: postgres, name: 'an event whose accounts are linked' },
        },
      ],
    },
    {
      name: 'A payee whose account was made with other fields, and who gets nothing for it',
      guards: [
        {
          name: 'packets are credited all the same',
          file: 'connector/pipeline/credit-payee.ts',
          text: "if (outcome.kind === 'refused' && outcome.status === 'needed_account_refused')",
          without: 'if (false)',
          test: {
            file: 'connector/pipeline/deliver.test.ts',
            name: 'an account that comes up with other fields',
          },
        },
        {
          name: 'and payments within the node',
          file: 'shared/payment-methods/local/local-method.ts',
          text: "return statuses.includes('needed_account_refused')",
          without: 'return false',
          test: {
            file: 'shared/outgoing-payments/local-payments.test.ts',
            name: "a receiver's account that is there with other fields",
          },
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
          file: fastPathSql,
          text: '      and a.closed = coalesce(p_closed[n] & 2 = 2, a.closed)\n',
          without: '',
          test: { file: endTests, name: 'the ledger itself refuses money' },
        },
        {
          name: 'nor from processes that are not upgraded yet',
          file: 'shared/ledger/postgres/migrations/0002_closed_accounts.sql',
          text: '      and not a.closed\n',
          without: '',
          test: {
            file: 'shared/ledger/postgres/upgrade.test.ts',
            name: 'processes from before closes took the fast path',
          },
        },
        {
          name: 'what a batch closes there is closed behind it',
          file: fastPathSql,
          text: 'closed = coalesce(p_closed[n] & 1 = 1, a.closed)',
          without: 'closed = a.closed',
          test: { file: paths, name: 'an account is closed, opened for one movement' },
        },
        {
          name: 'and for the rest of the batch',
          file: planning,
          text: "if (event.kind === 'close') credit.closed = true",
          without: '',
          test: { file: paths, name: 'what a batch closes takes nothing more' },
        },
        {
          name: 'who closes an account that is open finds it open',
          file: planning,
          text: 'if (!isClosedHere(debit, false) || !isClosedHere(credit, false)) return false',
          without: '',
          test: { file: paths, name: 'what a batch closes takes nothing more' },
        },
        {
          name: 'the word of a server that was lost is not remembered',
          file: 'shared/ledger/postgres/reads.ts',
          text: 'if (reservations.cleared() === cleared)',
          without: 'if (cleared >= 0)',
          test: {
            file: 'shared/ledger/postgres/reservations.test.ts',
            name: 'what a look-up finds is remembered',
          },
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
    {
      name: 'A caller that calls unknown what the ledger is still trying',
      guards: [
        {
          name: 'over RPC an answer may take its turn and its outcome',
          file: deadlines,
          text: 'answerMs: 2.2 * outcomeTimeoutMs',
          without: 'answerMs: outcomeTimeoutMs',
          test: { file: overRpc, name: 'a ledger that is still at it is waited for' },
        },
        {
          name: 'what the ledger gave up is asked for once more',
          file: deadlines,
          text: 'repeatMsMax: 1.1 * outcomeTimeoutMs',
          without: 'repeatMsMax: 0.9 * outcomeTimeoutMs',
          test: { file: overRpc, name: 'what the ledger gave up as unknown is asked for once more' },
        },
      ],
    },
    {
      name: 'Books that do not hold, and an audit that does not see it',
      guards: [
        {
          name: 'no account is beyond its limit',
          file: audit,
          text: 'if (isOverdrawn(account)) findings',
          without: 'if (isOverdrawn(account) && false) findings',
          test: { file: auditing, name: 'accounts beyond their limits' },
        },
        {
          name: 'balances are what transfers add up to',
          file: audit,
          text: 'else if (figures.some((figure) => account[figure] !== sum[figure]))',
          without: 'else if (account.ledger < 0)',
          test: { file: auditing, name: 'a running balance that its transfers do not explain' },
        },
        {
          name: 'a reservation has the end that it says',
          file: audit,
          text: "if (pending.state !== state && pending.state !== 'pending')",
          without: 'if (pending.state === end.id as never)',
          test: { file: auditing, name: 'a reservation that is said to be ended otherwise' },
        },
        {
          name: 'and one end only',
          file: audit,
          text: 'if (!isExpiry)',
          without: 'if (!isExpiry && marginMs < 0)',
          test: { file: auditing, name: 'a post of more than was reserved' },
        },
        {
          name: 'a closed account was closed by something',
          file: audit,
          text: 'if (account && Number(account.closed) !== sum.closings)',
          without: 'if (account && sum.closings < 0)',
          test: { file: auditing, name: 'an account that is closed by nothing' },
        },
        {
          name: 'what moved while it was read is said to have moved',
          file: audit,
          text: 'for (const id of ids) if (!rest.has(id)) moved.add(id)',
          without: '',
          test: { file: auditing, name: 'an account that moves while all is read' },
        },
      ],
    },
  ],
}
