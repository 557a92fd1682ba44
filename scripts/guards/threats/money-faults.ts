import type { ThreatTable } from '../guard.ts'

const lateAnswers = 'connector/pipeline/late-answers.test.ts'
const forward = 'connector/pipeline/forward.test.ts'
const lostRecords = 'connector/pipeline/lost-records.property.test.ts'
const deliver = 'connector/pipeline/deliver.test.ts'
const steps = 'connector/pipeline/steps.test.ts'
const leftBehind = 'connector/rpc/left-behind.test.ts'
const keptPackets = 'shared/outgoing-payments/kept-packets.test.ts'
const rates = 'connector/rates/rates.test.ts'
const crashes = 'shared/outgoing-payments/crashes.test.ts'
const ilpPayments = 'shared/outgoing-payments/ilp-payments.test.ts'
const incoming = 'shared/incoming-payments/incoming-payments.test.ts'
const interleavings = 'shared/incoming-payments/expiry-interleavings.test.ts'
const localCredits = 'shared/incoming-payments/local-credits.test.ts'
const credits = 'shared/incoming-payments/credits-store.ts'
const attempt = 'shared/outgoing-payments/attempt-payment.ts'
const funding = 'shared/outgoing-payments/fund-outgoing-payment.ts'
const readOutgoing = 'shared/outgoing-payments/read-while-ending.test.ts'
const readIncoming = 'shared/incoming-payments/read-while-ending.test.ts'
const processes = 'shared/ledger/postgres/processes.test.ts'
const paths = 'shared/ledger/postgres/paths.test.ts'
const expiryRaces = 'shared/ledger/postgres/expiry-races.test.ts'
const ledgerSql = 'shared/ledger/postgres/migrations/0007_accounts_of_locked_ledgers.sql'
const fastPathSql = 'shared/ledger/postgres/migrations/0004_closes_on_the_fast_path.sql'
const announcing = 'shared/incoming-payments/process-incoming-payment.ts'
const withdrawing = 'shared/incoming-payments/withdraw-incoming-payment.test.ts'
const turnstile = 'shared/platform/turnstile.test.ts'

/** What keeps money right when something fails on its way. */
export const moneyFaults: ThreatTable = {
  title: 'Faults: money',
  about:
    'F1 to F10, F25 to F28, F39 and F40 of our list of faults. After the larger tests the books of whole banks are audited (`cli/audit`).',
  threats: [
    {
      name: 'Answers that come later than the hold (F1)',
      guards: [
        {
          name: 'a hold outlives its packet',
          file: 'connector/pipeline/hold-money.ts',
          text: 'timeoutSeconds: Math.max(ctx.holdSecondsMin, Math.ceil((remainingMs + HOLD_MARGIN_MS) / 1000)),',
          without: 'timeoutSeconds: ctx.holdSecondsMin,',
          test: {
            file: lateAnswers,
            name: 's it is posted: what was answered with a Fulfill is in the ledger',
          },
        },
        {
          name: 'a hold that is gone is not taken for posted',
          file: 'connector/pipeline/settle-hold.ts',
          text: "if (posted.kind === 'refused' && posted.status === 'pending_transfer_already_posted') return",
          without: "if (posted.kind === 'refused') return",
          test: { file: lateAnswers, name: 'F1: after the hold has ended it is posted late' },
        },
      ],
    },
    {
      name: 'Money that is posted and not recorded (F2)',
      guards: [
        {
          name: 'a state that could not be written is written later, and turns no packet into a Reject',
          file: 'connector/pipeline/record-progress.ts',
          text: 'if (closed) return\n        await sleep',
          without: 'if (attempt >= 0) return\n        await sleep',
          test: { file: deliver, name: 'F2: while the state has not followed' },
        },
        {
          name: 'nor with many packets in flight',
          file: 'connector/pipeline/record-progress.ts',
          text: 'for (let attempt = 0; ; attempt++) {',
          without: 'for (let attempt = 0; attempt < 1; attempt++) {',
          test: { file: lostRecords, name: 'packets in flight, while postings lose their answers' },
        },
        {
          name: 'a posting whose answer was lost is asked for again, for each of them',
          file: 'connector/pipeline/ledger-outcome.ts',
          text: 'if (!isUnknown(error)) throw error',
          without: 'if (isUnknown(error) || error) throw error',
          test: { file: lostRecords, name: 'packets in flight, while postings lose their answers' },
        },
        {
          name: 'what the ledger has and the row has not is found',
          file: announcing,
          text: '(totals[index] ?? 0n) >= incomingAmount',
          without: '(totals[index] ?? 0n) < 0n * incomingAmount',
          test: { file: incoming, name: 'F2: a completion whose record was lost' },
        },
      ],
    },
    {
      name: 'Receivers that cannot be reached (F3)',
      guards: [
        {
          name: 'a receiver that cannot be read is no receiver that was paid',
          file: attempt,
          text: "return receiver.code === 'unknown_receiver' && sentAmount > 0n ? completed : failed(receiver)",
          without: 'return completed',
          test: { file: ilpPayments, name: 'F3: a receiver that stays unreachable' },
        },
        {
          name: 'nor is one that was closed before anything was sent',
          file: attempt,
          text: 'if (closed) return sentAmount > 0n ? completed :',
          without: 'if (closed) return sentAmount >= 0n ? completed :',
          test: { file: ilpPayments, name: 'before the first packet fails the payment by name' },
        },
        {
          name: 'what was said of a receiver when it was made is not believed against a failure',
          file: attempt,
          text: "return reason?.class === 'fatal' ? { ...attempt, failure: reason } : attempt",
          without: 'return attempt',
          test: { file: ilpPayments, name: 'right after it was made fails the payment by name' },
        },
        {
          name: 'nor used for a second payment',
          file: 'shared/receivers/receivers.ts',
          text: 'isRead || unused.delete(known)',
          without: 'isRead || unused.has(known)',
          test: { file: 'shared/receivers/receivers.test.ts', name: 'for one payment it will do too' },
        },
      ],
    },
    {
      name: 'Debits at the same time (F4)',
      guards: [
        {
          name: 'one batch of a ledger at a time',
          file: ledgerSql,
          text: 'perform ledger.take_locks(ledger.locks_of(v_locked));',
          without: 'perform 1;',
          test: { file: paths, name: 'F4: a batch waits for who is booking on its ledger' },
        },
        {
          name: 'on the fast path too',
          file: fastPathSql,
          text: 'v_taken := ledger.take_locks(p_locks);',
          without: '',
          test: { file: paths, name: 'F4: a batch waits for who is booking on its ledger' },
        },
      ],
    },
    {
      name: 'A ledger that slows down with its history (F5)',
      guards: [
        {
          name: 'plans are made for full tables',
          file: fastPathSql,
          text: 'set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_memoize = off set jit = off as $$',
          without: 'as $$',
          test: { file: 'shared/ledger/postgres/stale-plans.test.ts', name: 'F5: plans made for empty' },
        },
      ],
    },
    {
      name: 'Payments within the node that are tried again (F6)',
      guards: [
        {
          name: 'a repeat moves money under the same id',
          file: 'shared/payment-methods/local/transfers.ts',
          text: 'id: deliveryId(outgoingPaymentId, transferAttempt),',
          without: 'id: crypto.randomUUID(),',
          test: { file: crashes, name: 'F6: a worker that dies after the ledger' },
        },
      ],
    },
    {
      name: 'Deposits that are cut short (F7)',
      guards: [
        {
          name: 'a deposit has the id of the event that asked for it',
          file: funding,
          text: '      transferId,\n',
          without: '      transferId: crypto.randomUUID(),\n',
          test: { file: crashes, name: 'F7: many deposits at once' },
        },
        {
          name: 'a cancel does not overtake the money',
          file: 'shared/outgoing-payments/funding-store.ts',
          text: `p.id = once.id and \${inState('FUNDING')} returning p.*`,
          without: 'p.id = once.id returning p.*',
          test: { file: crashes, name: 'a cancelled payment takes no money' },
        },
        {
          name: 'another tenant does not fund it, also in one statement with its own',
          file: 'shared/outgoing-payments/funding-store.ts',
          text: ' and (asked.tenant_id is null or x.tenant_id = asked.tenant_id)',
          without: '',
          test: { file: ilpPayments, name: 'whoever else funds the payment in the same moment' },
        },
      ],
    },
    {
      name: 'Payments that end while they are read',
      guards: [
        {
          name: 'a connector that comes with another knows of it, and sees the end that neither counts alone',
          file: 'shared/incoming-payments/packets-store.ts',
          text: 'coalesce(r.paid_by_connector, p.paid_by_connector, asked.connector_id)',
          without: 'coalesce(p.paid_by_connector, asked.connector_id)',
          test: { file: localCredits, name: 'of connectors that come at the same moment' },
        },
        {
          name: 'a rest that was withdrawn meanwhile is not shown as sent',
          file: 'shared/outgoing-payments/read-outgoing-payments.ts',
          text: 'debitsPosted === creditsPosted ? await findFinalSentAmount(ctx.db, id) : undefined',
          without: 'undefined',
          test: { file: readOutgoing, name: 'shows what was sent' },
        },
        {
          name: 'nor in a list',
          file: 'shared/outgoing-payments/read-outgoing-payments.ts',
          text: 'return final ?? debitsPosted',
          without: 'return debitsPosted',
          test: { file: readOutgoing, name: 'so do those of a list' },
        },
        {
          name: 'what others have left is no reason to ask again',
          file: 'shared/outgoing-payments/read-outgoing-payments.ts',
          text: 'debitsPosted === creditsPosted ?',
          without: 'debitsPosted >= 0n ?',
          test: { file: readOutgoing, name: 'nobody is asked twice' },
        },
        {
          name: 'an end is not shown with a total from before it',
          file: 'shared/incoming-payments/read-incoming-payments.ts',
          text: 'mayHaveMore ? await receivedTotals(ctx.ledger, [id]) : [account?.creditsPosted]',
          without: '[account?.creditsPosted]',
          test: { file: readIncoming, name: 'shows all that it got' },
        },
        {
          name: 'nor is the ledger asked again once nothing can come',
          file: 'shared/incoming-payments/read-incoming-payments.ts',
          text: 'isFinal(row.state) && !account?.closed',
          without: 'isFinal(row.state)',
          test: { file: readIncoming, name: 'the ledger is asked once' },
        },
      ],
    },
    {
      name: 'Totals beyond 2^64 − 1',
      guards: [
        {
          name: 'an event tells what a transfer can carry',
          file: announcing,
          text: 'minimum(payment.receivedAmount.value, AMOUNT_MAX)',
          without: 'payment.receivedAmount.value',
          test: { file: withdrawing, name: 'more than one event can tell' },
        },
        {
          name: 'and another one the rest',
          file: announcing,
          text: "return value > AMOUNT_MAX ? 'some' : 'all'",
          without: "return 'all'",
          test: { file: withdrawing, name: 'more than one event can tell' },
        },
        {
          name: 'which is looked for at once',
          file: announcing,
          text: "received > AMOUNT_MAX\n      ? { status: 'retry', at: now }",
          without: "received < 0n\n      ? { status: 'retry', at: now }",
          test: { file: withdrawing, name: 'more than one event can tell' },
        },
        {
          name: 'what an earlier version told in one event is withdrawn too',
          file: 'shared/incoming-payments/withdraw-incoming-payment.ts',
          text: 'rest > 0n; rest -= AMOUNT_MAX',
          without: 'false; ',
          test: {
            file: 'shared/incoming-payments/withdraw-incoming-payment.test.ts',
            name: 'what an earlier version announced in one event',
          },
        },
        {
          name: 'a wallet address is emptied in several withdrawals',
          file: 'shared/wallet-addresses/withdraw-wallet-address.ts',
          text: 'minimum(balance, AMOUNT_MAX)',
          without: 'balance',
          test: {
            file: 'shared/wallet-addresses/withdraw-wallet-address.test.ts',
            name: 'more than one transfer carries',
          },
        },
        {
          name: 'such a balance can be read',
          file: 'shared/graphql-server/scalars.ts',
          text: 'serialize: toDigits',
          without: 'serialize: (value) => toUint64(value).toString()',
          test: { file: 'functions/admin/catalog.test.ts', name: 'a balance is shown also where it is more' },
        },
      ],
    },
    {
      name: 'Many changes in one statement',
      guards: [
        {
          name: 'an announcement is made once, whoever makes it together with what',
          file: 'shared/incoming-payments/store.ts',
          text: `and p.id = once.id and \${rawSql(unannounced)}`,
          without: 'and p.id = once.id',
          test: { file: incoming, name: 'of many ends that are announced at once' },
        },
        {
          name: 'credits under way are counted one by one',
          file: credits,
          text: 'p.local_credits + credit.count',
          without: 'p.local_credits + 1',
          test: { file: localCredits, name: 'credits of many payments at once' },
        },
        {
          name: 'and end one by one',
          file: credits,
          text: "'p.paid_by_connector is not null or p.local_credits > credit.count'",
          without: "'p.paid_by_connector is not null'",
          test: { file: localCredits, name: 'credits of many payments at once' },
        },
        {
          name: 'the greatest total counts',
          file: credits,
          text: 'known.received > next.received ? known.received : next.received',
          without: 'next.received',
          test: { file: localCredits, name: 'of records of many packets at once' },
        },
        {
          name: 'a connector that was not the one that was registered asks again',
          file: 'shared/incoming-payments/packets-store.ts',
          text: 'coalesce(r.connector_id = asked.connector_id, false)',
          without: '(r.id is not null)',
          test: { file: localCredits, name: 'many packets at once' },
        },
        {
          name: 'a connector knows of a payment of this node before that credits anything',
          file: 'shared/outgoing-payments/creation-store.ts',
          text: 'payments.some(({ localReceiverId }) => localReceiverId !== undefined) ? expectingCredits',
          without: 'payments.some(({ localReceiverId }) => localReceiverId === "") ? expectingCredits',
          test: {
            file: 'shared/outgoing-payments/create-outgoing-payment.test.ts',
            name: 'from its creation on, connectors know',
          },
        },
        {
          name: 'a payment that changed in the moment of its claim is read anew',
          file: 'shared/queue/store.ts',
          text: 'seen.requested = claimed.requested and seen.lease_token + 1 = claimed.lease_token as is_loaded',
          without: 'true as is_loaded',
          test: { file: 'shared/queue/published-store.test.ts', name: 'what a claim loads is not believed' },
        },
        {
          name: 'what this payment brought meanwhile is not wanted once more',
          file: attempt,
          text: 'progress === nothingYet ? ahead : undefined',
          without: 'ahead',
          test: { file: ilpPayments, name: 'a slice that another one overtook' },
        },
        {
          name: 'jobs are taken in one order',
          file: 'shared/queue/store.ts',
          text: '  order by source.key\n',
          without: '',
          test: { file: 'shared/queue/queue.test.ts', name: 'many jobs of one statement' },
        },
        {
          name: 'an event is written where its change was',
          file: 'shared/webhooks/store.ts',
          text: ')} using (place)',
          without: ')} on true',
          test: { file: 'shared/webhooks/webhooks.test.ts', name: 'of many changes in one statement' },
        },
        {
          name: 'one that may have been carried out is not sent again for each',
          file: 'shared/platform/db.ts',
          text: 'syscall !== undefined || error instanceof AggregateError',
          without: 'error instanceof AggregateError',
          test: {
            file: 'shared/platform/batched-statements.test.ts',
            name: 'a statement whose connection is lost, in whatever words',
          },
        },
        {
          name: 'what only one of two brings is kept',
          file: 'shared/outgoing-payments/funding-store.ts',
          text: ' filter (where sealed is not null)',
          without: '',
          test: { file: ilpPayments, name: 'whoever funds the payment at the same time' },
        },
        {
          name: 'who takes long to answer holds up no statement of another kind',
          file: 'shared/platform/turnstile.ts',
          text: 'setTimeout(stepAside, patienceMs)',
          without: 'setTimeout(() => undefined, patienceMs)',
          test: { file: turnstile, name: 'who takes longer than others have patience for' },
        },
        {
          name: 'and lets nobody through a second time',
          file: 'shared/platform/turnstile.ts',
          text: 'if (!isInFront) return',
          without: '',
          test: { file: turnstile, name: 'who takes longer than others have patience for' },
        },
        {
          name: 'few do not wait for ever behind many',
          file: 'shared/platform/turnstile.ts',
          text: '|| first.since <= tooLongSince',
          without: '',
          test: { file: turnstile, name: 'who has waited for too long' },
        },
      ],
    },
    {
      name: 'Rates that are none (F9)',
      guards: [
        {
          name: 'rates are of the base that was asked for',
          file: 'connector/rates/parse-rates.ts',
          text: 'if (given !== base)',
          without: 'if (given.length !== base.length)',
          test: { file: rates, name: 'F9: rates of another base' },
        },
        {
          name: 'a price is a number above zero',
          file: 'connector/rates/parse-rates.ts',
          text: 'if (error instanceof InvalidRate) return undefined',
          without: 'if (error instanceof InvalidRate) return { numerator: 1n, denominator: 1n } as Rate',
          test: { file: rates, name: 'F9: a price that is none' },
        },
        {
          name: 'a pair the other way round is not believed',
          file: 'connector/rates/plausible-prices.ts',
          text: "if (Math.abs(now + before) * MIRROR <= move) return 'inverted'",
          without: 'void MIRROR',
          test: { file: rates, name: 'F9: a swapped pair' },
        },
        {
          name: 'however long it lasts',
          file: 'connector/rates/plausible-prices.ts',
          text: 'good.set(code, last)\n    } else {',
          without: 'good.set(code, { price, atMs: nowMs })\n    } else {',
          test: { file: rates, name: 'F9: a swapped pair' },
        },
        {
          name: 'nor is a price of another size',
          file: 'connector/rates/plausible-prices.ts',
          text: "return move > Math.log(changeMax) ? 'jump' : undefined",
          without: 'return undefined',
          test: { file: rates, name: 'F9: nor is a price of another size' },
        },
        {
          name: 'a last price is for packets, not for quotes',
          file: 'connector/rates/rates.ts',
          text: "if (input.tolerance === 'recent' && last &&",
          without: 'if (last &&',
          test: { file: rates, name: 'F9: a swapped pair' },
        },
        {
          name: 'rates are not older than they may be, by their own word',
          file: 'connector/rates/rates.ts',
          text: 'if (ageMs > ageMaxMs) throw',
          without: 'if (ageMs > ageMaxMs * 1_000) throw',
          test: { file: rates, name: 'F9: an answer that is old by its own word' },
        },
      ],
    },
    {
      name: 'Rates that are away (F10)',
      guards: [
        {
          name: 'packets go on with what is known',
          file: 'connector/rates/rates.ts',
          text: 'ageOf(entry) < lifetimeMs * STALE_LIFETIMES ? entry.prices : undefined',
          without: 'ageOf(entry) < lifetimeMs ? entry.prices : undefined',
          test: { file: rates, name: 'F10: in an outage packets go on' },
        },
        {
          name: 'but not for ever',
          file: 'connector/rates/rates.ts',
          text: 'ageOf(entry) < lifetimeMs * STALE_LIFETIMES ?',
          without: 'ageOf(entry) < lifetimeMs * 1_000_000 ?',
          test: { file: rates, name: 'F10: in an outage packets go on' },
        },
        {
          name: 'nobody waits for the next failure',
          file: 'connector/rates/rates.ts',
          text: 'if (!(failing && stale)) await refreshed',
          without: 'await refreshed',
          test: { file: rates, name: 'F10: in an outage nobody waits' },
        },
      ],
    },
    {
      name: 'Money around the end of an incoming payment (F25, F26)',
      guards: [
        {
          name: 'the ledger takes nothing behind the end',
          file: announcing,
          text: 'await closeForGood(ctx, fresh)',
          without: 'void fresh',
          test: { file: incoming, name: 'the ledger itself refuses money for a payment whose end was told' },
        },
        {
          name: 'whichever step of an expiry a packet comes between',
          file: announcing,
          text: 'await closeForGood(ctx, fresh)',
          without: 'void fresh',
          test: { file: interleavings, name: 'F26: a packet that is decided and credited between' },
        },
        {
          name: 'the total that is told is read behind the end',
          file: announcing,
          text: '  await closeForGood(ctx, fresh)\n  const [total = 0n] = await receivedTotals(ctx.ledger, [row.id])',
          without:
            '  const [total = 0n] = await receivedTotals(ctx.ledger, [row.id])\n  await closeForGood(ctx, fresh)',
          test: { file: interleavings, name: 'F26: a packet that is decided and credited between' },
        },
        {
          name: 'what came behind it in spite of that is announced, and brings a hidden payment back',
          file: announcing,
          text: 'if ((await lateAmount(ctx.db)) <= 0n) return',
          without: 'if (payment.id) return',
          test: { file: incoming, name: 'F26: money that comes after an empty' },
        },
      ],
    },
    {
      name: 'A connector that dies while it sends (F31)',
      guards: [
        {
          name: 'a packet leaves when it is kept, not before',
          file: 'connector/pipeline/send-to-peer.ts',
          text: '    await packet.kept\n',
          without: '    packet.kept?.catch(() => undefined)\n',
          test: { file: leftBehind, name: 'does not leave when it cannot be kept' },
        },
        {
          name: 'what it left is asked for before anything is sent',
          file: 'connector/rpc/sessions.ts',
          text: 'const found = await finding',
          without: 'const found = (await finding).slice(0, 0)',
          test: { file: leftBehind, name: 'the next one asks for it, and counts it as it arrived' },
        },
        {
          name: 'and before it is said where the payment stands',
          file: 'connector/rpc/sessions.ts',
          text: 'if (found.length === 0 || (await',
          without: 'if (found.length >= 0 || (await',
          test: { file: leftBehind, name: 'is asked for by who only wants to know' },
        },
        {
          name: 'also by a connector that has sent part of the payment itself',
          file: 'connector/rpc/sessions.ts',
          text: 'found.some(({ sender }) => sender !== kept.sender)',
          without: 'found.some(({ sender }) => sender === kept.sender && sender === undefined)',
          test: { file: leftBehind, name: 'and the same without a question in between' },
        },
        {
          name: 'what is held is kept, too',
          file: 'connector/pipeline/keep-packet.ts',
          text: 'onHeld: () => void isDone.then(packet.onHeld)',
          without: '...(packet.onHeld && { onHeld: packet.onHeld })',
          test: { file: leftBehind, name: 'is there before a slice ends' },
        },
        {
          name: 'only who forgets a packet counts it',
          file: 'shared/outgoing-payments/progress-store.ts',
          text: "'a (id uuid, sent numeric, delivered numeric)')} join gone using (id)",
          without: "'a (id uuid, sent numeric, delivered numeric)')} left join gone using (id)",
          test: { file: keptPackets, name: 'whoever records a packet counts it, once' },
        },
        {
          name: 'and nothing that was counted without being forgotten',
          file: 'shared/outgoing-payments/progress-store.ts',
          text: 'and p.recorded_sent_amount + c.sent <= ',
          without: 'and p.recorded_sent_amount >= 0 * ',
          test: { file: keptPackets, name: 'what would be more than was debited' },
        },
        {
          name: 'a payment does not fail while packets of it may be asked about',
          file: 'shared/outgoing-payments/attempt-payment.ts',
          text: 'return await hasKeptPackets(ctx.db, payment.id)',
          without: 'return (await hasKeptPackets(ctx.db, payment.id)) && payment.id === ""',
          test: {
            file: 'shared/outgoing-payments/ilp-payments.test.ts',
            name: 'a payment whose packets nobody has asked about yet',
          },
        },
        {
          name: 'what was posted and not counted counts as it arrived',
          file: 'connector/pipeline/ask-again.ts',
          text: "isFulfill(answer) ? { kind: 'answered', amount: source.amount, reply } : { kind: 'unasked' }",
          without:
            "isFulfill(answer) && source.amount < 0n ? { kind: 'answered', amount: source.amount, reply } : { kind: 'unasked' }",
          test: { file: leftBehind, name: 'the next one asks for it, and counts it as it arrived' },
        },
        {
          name: 'a hold that has ended is no reason to drop a Fulfill',
          file: 'connector/pipeline/ask-again.ts',
          text: "source.state === 'voided') return { kind: 'over' }",
          without: "source.state === 'voided' || source.state === 'expired') return { kind: 'over' }",
          test: { file: leftBehind, name: 'whose hold has ended is posted late' },
        },
        {
          name: 'only peers that know repeats are asked',
          file: 'connector/pipeline/ask-again.ts',
          text: "if (isKnown === false) return 'unasked'\n      if (isKnown) {",
          without: 'if (isKnown !== undefined) {',
          test: { file: leftBehind, name: 'at a peer that would take it for another packet' },
        },
        {
          name: 'nothing is decided while a peer has not answered',
          file: 'connector/rpc/left-behind.ts',
          text: 'return over.length === asked.length',
          without: 'return over.length <= asked.length',
          test: { file: leftBehind, name: 'at a peer that is away is asked for again' },
        },
        {
          name: 'a packet that counts is forgotten with the record that counts it',
          file: 'shared/outgoing-payments/progress-store.ts',
          text: 'with forgotten as (delete from kept_packets where id',
          without: 'with forgotten as (delete from kept_packets where false and id',
          test: { file: leftBehind, name: 'before its money was held is no more' },
        },
      ],
    },
    {
      name: 'Packets of one payment at the same time (F25)',
      guards: [
        {
          name: 'what was credited without an answer counts while others are on their way',
          file: 'connector/pipeline/deliveries.ts',
          text: 'received + reserved + doubtful < payee.incomingAmount',
          without: 'received + reserved < payee.incomingAmount',
          test: { file: deliver, name: 'F25: a credit whose answer was lost counts' },
        },
        {
          name: 'nobody is declined for what may have been counted already',
          file: 'connector/pipeline/deliveries.ts',
          text: "? 'full' : 'unclear'",
          without: "? 'full' : 'full'",
          test: { file: deliver, name: 'F25: it waits no longer than until it is clear' },
        },
        {
          name: 'who waits for others does so for no longer than it lives',
          file: 'connector/pipeline/deliver.ts',
          text: 'await withinMs(delivery.clearer(), Math.min(restMs, WAIT_MS_MAX))',
          without: 'void withinMs\n    void restMs\n    await delivery.clearer()',
          test: { file: deliver, name: 'F25: a packet that waits for others' },
        },
        {
          name: 'nor longer than its payment is open',
          file: 'connector/pipeline/deliver.ts',
          text: 'if (!delivery || isClosed(ctx, delivery)) return { reply: await refuse(ctx, packet, closed(ctx)) }',
          without:
            'if (!delivery || (!waited && isClosed(ctx, delivery))) return { reply: await refuse(ctx, packet, closed(ctx)) }',
          test: { file: deliver, name: 'F26: a packet that waits while its payment ends' },
        },
        {
          name: 'who repeats what was credited does not wait',
          file: 'connector/pipeline/deliver.ts',
          text: 'waited ? undefined : await answerAgain(ctx, packet)',
          without: 'undefined as Reply | undefined',
          test: { file: deliver, name: 'what was credited does not wait for others' },
        },
        {
          name: 'nor is it refused because its payment ends meanwhile',
          file: 'connector/pipeline/deliver.ts',
          text: "if (outcome.kind === 'closed') return await refuse(ctx, packet, closed(ctx))",
          without: "if (outcome.kind === 'closed') return closed(ctx)",
          test: { file: deliver, name: 'what was credited stays fulfilled when its payment ends' },
        },
        {
          name: 'nor because a step breaks',
          file: 'connector/pipeline/answer-faults.ts',
          text: 'return rejectIfNew(ctx, packet, ctx.rejects(',
          without: 'return ((_: unknown, __: unknown, reject: Reply) => reject)(ctx, packet, ctx.rejects(',
          test: { file: deliver, name: 'F2: where a step breaks' },
        },
        {
          name: 'what may still arrive keeps its room',
          file: 'connector/pipeline/deliver.ts',
          text: "if (outcome.kind === 'abandoned') settleLater(ctx, packet, delivery, amount)",
          without: "if (outcome.kind === 'abandoned') delivery.settle(amount, 'uncertain')",
          test: {
            file: 'connector/pipeline/abandoned-credits.test.ts',
            name: 'F25: a credit that nobody can ask about',
          },
        },
      ],
    },
    {
      name: 'One answer to the same bytes',
      guards: [
        {
          name: 'what was rejected stays rejected',
          file: 'connector/pipeline/join-duplicates.ts',
          text: 'if (!isFulfill(reply)) rejected.set(all, ofReject(reply))',
          without: 'if (!isFulfill(reply)) void ofReject',
          test: { file: steps, name: 'what was rejected stays rejected' },
        },
        {
          name: 'unless another connector has taken it since',
          file: 'connector/pipeline/join-duplicates.ts',
          text: "return before === 'never' || before === 'ended' ? reject : await next(packet)",
          without: 'void before\n  return next.length > 9 ? await next(packet) : reject',
          test: { file: deliver, name: 'what this connector rejected and another one has taken' },
        },
        {
          name: 'what may still happen gets no answer',
          file: 'connector/pipeline/withhold-answer.ts',
          text: 'if (ctx.abandoned.has(packet.packetId))',
          without: 'if (ctx.abandoned.size < 0)',
          test: {
            file: 'connector/pipeline/abandoned-credits.test.ts',
            name: 'F25: a credit that nobody can ask about',
          },
        },
        {
          name: 'also where a step broke',
          file: 'connector/pipeline/answer-faults.ts',
          text: 'return rejectIfNew(ctx, packet, ',
          without: 'throw error ?? (ctx, packet, ',
          test: { file: steps, name: 'what was rejected stays rejected' },
        },
        {
          name: 'each of several packets that share their ids',
          file: 'connector/pipeline/join-duplicates.ts',
          text: 'const all = `',
          without: 'const all = packetId || `',
          test: { file: steps, name: 'packets that share their ids' },
        },
        {
          name: 'rejects displace no fulfilment',
          file: 'connector/pipeline/join-duplicates.ts',
          text: 'const rejected = createRecent<Rejected>(REMEMBERED_MIN)',
          without: 'const rejected = fulfilled as unknown as ReturnType<typeof createRecent<Rejected>>',
          test: { file: steps, name: 'many rejects displace no fulfilment' },
        },
      ],
    },
    {
      name: 'Reservations that run out (F28)',
      guards: [
        {
          name: 'what expired is not posted, on the fast path',
          file: fastPathSql,
          text: 'where h.id = any (array[p_resolved[n]]) and h.expires_at > v_now',
          without: 'where h.id = any (array[p_resolved[n]])',
          test: { file: paths, name: 'F28: what has run out' },
        },
        {
          name: 'nor ended twice there',
          file: fastPathSql,
          text: '        and h.open & (p_posted[n] | p_voided[n]) = (p_posted[n] | p_voided[n]);',
          without: '        ;',
          test: { file: paths, name: 'F28: what has run out' },
        },
        {
          name: 'what expired is given back by whoever comes next',
          file: 'shared/ledger/postgres/migrations/0001_ledger.sql',
          text: 'set debits_pending = a.debits_pending - w.debit, credits_pending = a.credits_pending - w.credit\n  from (\n    select r.debit',
          without: 'set debits_pending = a.debits_pending\n  from (\n    select r.debit',
          test: { file: expiryRaces, name: 'reservations, whose posts, voids, repeats' },
        },
        {
          name: 'a sweep holds the locks of what it releases',
          file: 'shared/ledger/postgres/migrations/0001_ledger.sql',
          text: '  perform ledger.take_locks(ledger.locks_of(v_ledgers));\n  return ledger.expire_holds(v_ledgers, v_now, p_limit);',
          without: '  return ledger.expire_holds(v_ledgers, v_now, p_limit);',
          test: { file: expiryRaces, name: 'reservations, whose posts, voids, repeats' },
        },
      ],
    },
    {
      name: 'Locks in opposite orders (F27)',
      guards: [
        {
          name: 'locks are taken in one order',
          file: 'shared/ledger/postgres/clean-parameters.ts',
          text: '.sort((a, b) => a - b)',
          without: '.sort(() => 0.5 - Math.random())',
          test: { file: processes, name: 'F27: chains over two ledgers' },
        },
      ],
    },
    {
      name: 'Outcomes that nobody knows (F39)',
      guards: [
        {
          name: 'a gateway that lost the peer is not its answer',
          file: 'connector/http/peer-transport.ts',
          text: ' || status > 499',
          without: '',
          test: {
            file: 'connector/http/peer-transport.test.ts',
            name: 'a gateway that lost the peer is no word',
          },
        },
        {
          name: 'the connector repeats under the same ids',
          file: 'connector/pipeline/ledger-outcome.ts',
          text: 'if (ctx.clock.nowMs() + delayMs >= giveUpAtMs)',
          without: 'if (delayMs > 0)',
          test: { file: forward, name: 'F39: a post whose outcome' },
        },
        {
          name: 'the Postgres ledger asks again when an answer was lost',
          file: 'shared/ledger/postgres/connections.ts',
          text: 'if (!isPassing(error)) throw fenceFault(error) ?? error',
          without:
            'if (isPassing(error)) throw new Fault(onTimeout, { retryable: true })\n          throw error',
          test: { file: 'shared/ledger/postgres/outages.test.ts', name: 'connections that the server ends' },
        },
        {
          name: 'a packet that was forwarded is not denied because it has no route any more',
          file: 'connector/pipeline/find-route.ts',
          text: "rejectIfNew(ctx, packet, ctx.rejects('F02', rejectMessages.unknownDestination))",
          without: "Promise.resolve(ctx.rejects('F02', rejectMessages.unknownDestination))",
          test: { file: forward, name: 'nor is one denied that cannot be forwarded' },
        },
        {
          name: 'nor because it comes again too late',
          file: 'connector/pipeline/shorten-expiry.ts',
          text: "rejectIfNew(ctx, packet, ctx.rejects('R02', tooLate(sourceExpiry, nowMs)))",
          without: "Promise.resolve(ctx.rejects('R02', tooLate(sourceExpiry, nowMs)))",
          test: { file: forward, name: 'nor is one denied that cannot be forwarded' },
        },
        {
          name: 'nor for want of a price',
          file: 'connector/pipeline/convert.ts',
          text: 'rejectIfNew(ctx, packet, converted)',
          without: 'Promise.resolve(converted)',
          test: { file: forward, name: 'nor is one denied that cannot be forwarded' },
        },
        {
          name: 'nor because its hold had ended when it was posted',
          file: 'connector/pipeline/forwarded-before.ts',
          text: "if (instead.some((transfer) => transfer !== undefined)) return 'moved'",
          without: 'void instead',
          test: {
            file: 'connector/pipeline/forwarded-before.test.ts',
            name: 'a hold that ended gave its money back',
          },
        },
        {
          name: 'a packet that was credited is not denied because the price has fallen since',
          file: 'connector/pipeline/deliver.ts',
          text: 'return decision.isTooLittle && isConverted(packet, delivery)',
          without: 'return false',
          test: { file: deliver, name: 'a repeat across currencies is fulfilled again' },
        },
        {
          name: 'and says what arrived, at the price of then',
          file: 'connector/pipeline/deliver.ts',
          text: "if (outcome.kind === 'uncertain' && isConverted(packet, delivery))",
          without: 'if (false)',
          test: { file: deliver, name: 'a repeat across currencies is fulfilled again' },
        },
        {
          name: 'the probes of quotes ask the ledger nothing',
          file: 'connector/pipeline/deliver.ts',
          text: 'decision.isTooLittle && ',
          without: '',
          test: { file: deliver, name: 'what is no payment at any price' },
        },
      ],
    },
    {
      name: 'Ids that are there already (F40)',
      guards: [
        {
          name: 'an id with the same fields is success, for the connector',
          file: 'connector/pipeline/ledger-outcome.ts',
          text: "(status) => status !== 'created' && status !== 'exists' && status !== 'linked_event_failed',",
          without: "(status) => status !== 'created',",
          test: { file: deliver, name: 'F40: a credit that the ledger repeated' },
        },
        {
          name: 'a look at the total that failed is repeated: it may have been the last',
          file: 'connector/pipeline/deliver.ts',
          text: `payment has all its money.
    lookLater(ctx, delivery)`,
          without: 'payment has all its money.',
          test: { file: deliver, name: 'a payment whose last look at the ledger failed' },
        },
        {
          name: 'a chain in TigerBeetle is the same only with the same fields',
          file: 'shared/ledger/tigerbeetle/repeats.ts',
          text: 'if (!stored || asked.pending_id !== stored.pending_id) return false\n',
          without: 'if (stored) return true\n  if (!stored) return false\n',
          test: { file: 'shared/ledger/tigerbeetle/client.test.ts', name: 'F40: a repeated chain exists' },
        },
      ],
    },
  ],
}
