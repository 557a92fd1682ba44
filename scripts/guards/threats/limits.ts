import type { ThreatTable } from '../guard.ts'

const parse = 'shared/grant-limits/parse-interval.ts'
const at = 'shared/grant-limits/interval-at.ts'
const limits = 'shared/grant-limits/grant-limits.test.ts'
const intervals = 'shared/grant-limits/intervals.property.test.ts'
const spending = 'shared/outgoing-payments/grant-spending.ts'
const spendingStore = 'shared/outgoing-payments/grant-spending-store.ts'
const spendingTests = 'shared/outgoing-payments/grant-spending.test.ts'
const overHttp = 'functions/open-payments/outgoing-payment-grant.test.ts'

/** What a grant may spend. */
export const limitThreats: ThreatTable = {
  title: 'Limits of grants',
  about:
    'Intervals are compared with a walk step by step over generated ones; spending is counted by the database.',
  threats: [
    {
      name: 'Intervals that never end (A1)',
      guards: [
        {
          name: 'fixed lengths are divided, not walked',
          file: at,
          text: 'if (interval.months === 0) walk = jumpTime(walk, { step: step.milliseconds, target })',
          without: 'void jumpTime',
          test: { file: limits, name: 'what lies millions of repetitions away is found at once' },
        },
        {
          name: 'months jump',
          file: at,
          text: 'walk = jumpMonths(walk, { step: step.months, isReached, target })',
          without: 'void jumpMonths',
          test: { file: limits, name: 'what lies millions of repetitions away is found at once' },
        },
        {
          name: 'an interval has a length',
          file: parse,
          text: "if (months === 0 && milliseconds <= 0) refuse('the interval has no length')",
          without: '',
          test: { file: limits, name: 'refused: ' },
        },
        {
          name: 'and not an absurd one',
          file: parse,
          text: "if (months > MONTHS_MAX || milliseconds > MILLISECONDS_MAX) refuse('the interval is too long')",
          without: '',
          test: { file: limits, name: 'refused: ' },
        },
        {
          name: 'it has three parts',
          file: parse,
          text: 'parts.length !== 3 || ',
          without: '',
          test: { file: limits, name: 'refused: ' },
        },
        {
          name: 'refused when the grant is requested',
          file: 'functions/auth/grants/decide-grant.ts',
          text: '  withConsent.forEach(checkLimits)\n',
          without: '  void checkLimits\n',
          test: { file: 'functions/auth/grant-requests.test.ts', name: 'limits' },
        },
      ],
    },
    {
      name: 'Edges of intervals',
      guards: [
        {
          name: 'half-open: the end belongs to the next',
          file: at,
          text: 'sign === 1 ? edge <= target : edge > target',
          without: 'sign === 1 ? edge < target : edge >= target',
          test: {
            file: intervals,
            name: 'an interval holds what is asked about, and the next begins where it ends',
          },
        },
        {
          name: 'the last repetition is the last',
          file: at,
          text: 'if (walk.index > interval.repetitions) return undefined',
          without: '',
          test: { file: intervals, name: 'the computed interval is the one that a walk step by step finds' },
        },
        {
          name: 'months end when they end',
          file: at,
          text: 'Math.min(date.getUTCDate(), lastDay)',
          without: 'date.getUTCDate() + 0 * lastDay',
          test: { file: intervals, name: 'the computed interval is the one that a walk step by step finds' },
        },
        {
          name: 'outside of all of them nothing is paid',
          file: spending,
          text: "if (!interval) throw outside('the grant allows no payment at this time')\n  return interval.start",
          without: 'return interval?.start',
          test: {
            file: spendingTests,
            name: 'nothing is paid before the first interval, and nothing is quoted either',
          },
        },
      ],
    },
    {
      name: 'Limits passed',
      guards: [
        {
          name: 'no payment is more than the limit',
          file: spending,
          text: "if (amount.value > limit.value) throw outside('the amount is more than the grant allows')",
          without: '',
          test: { file: spendingTests, name: 'a payment alone may be as much as the limit and not more' },
        },
        {
          name: 'nor are all of them together, whatever runs at once',
          file: spendingStore,
          text: `\${limit?.value}::numeric)\``,
          without: 'null::numeric)`',
          test: { file: overHttp, name: 'many at once: the limit is filled exactly' },
        },
        {
          name: 'amounts are of the same asset, scale included',
          file: spending,
          text: "if (!isSameAsset(limit, amount)) throw outside('the grant is for another asset')",
          without: '',
          test: {
            file: overHttp,
            name: 'limits that do not allow the payment refuse it, by quote and by incoming payment',
          },
        },
        {
          name: 'the receiver is the one that was agreed to, as exact text',
          file: spending,
          text: 'if (limits.receiver !== undefined && limits.receiver !== payment.receiver)',
          without: 'if (false)',
          test: {
            file: overHttp,
            name: 'limits that do not allow the payment refuse it, by quote and by incoming payment',
          },
        },
        {
          name: 'both amounts are refused',
          file: 'shared/grant-limits/parse-grant-limits.ts',
          text: 'if (debitAmount !== undefined && receiveAmount !== undefined)',
          without: 'if (false)',
          test: { file: limits, name: 'limits that cannot be read: ' },
        },
        {
          name: 'a limit that is not known is refused',
          file: 'shared/grant-limits/parse-grant-limits.ts',
          text: "if (unknown !== undefined) throw malformed('limits has a member that is not known')",
          without: '',
          test: { file: limits, name: 'limits that cannot be read: ' },
        },
        {
          name: 'limits are not lost beside an item without',
          file: 'functions/open-payments/grant.ts',
          text: 'if (limited.length > 1)',
          without: 'if (false)',
          test: {
            file: 'functions/open-payments/grant.test.ts',
            name: 'limits are never lost beside an item that has none',
          },
        },
        {
          name: 'a quote of another wallet address pays nothing',
          file: 'shared/outgoing-payments/create-outgoing-payment.ts',
          text: "throw invalidQuote('the quote is of another wallet address')",
          without: 'void 0',
          test: {
            file: 'functions/open-payments/outgoing-payments.test.ts',
            name: 'a quote of nobody, or of another wallet address, pays nothing',
          },
        },
        {
          name: 'what failed returns once, and no more than was not sent',
          file: spendingStore,
          text: 'q.debit_amount - e.spent_debit_amount',
          without: 'q.debit_amount',
          test: {
            file: spendingTests,
            name: 'a payment that failed on the way counts what was sent, and no less than what arrived',
          },
        },
      ],
    },
  ],
}
