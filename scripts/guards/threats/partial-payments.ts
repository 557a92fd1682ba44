import type { ThreatTable } from '../guard.ts'

const room = 'shared/incoming-payments/partial-payments.ts'
const waiting = 'shared/incoming-payments/await-partial-decision.ts'
const deliver = 'connector/pipeline/deliver.ts'
const ask = 'connector/pipeline/ask-payee.ts'
const packets = 'connector/partial-payments.test.ts'
const decisions = 'shared/incoming-payments/partial-payments.test.ts'
const mutations = 'functions/admin/partial-payments.test.ts'

/** What stands between a packet with words of its sender and the money that it brings. */
export const partialPaymentThreats: ThreatTable = {
  title: 'Partial payments',
  about:
    'A packet that brings words of its sender is shown to the wallet before its money moves (`ENABLE_PARTIAL_PAYMENT_DECISION`).',
  threats: [
    {
      name: 'Money that the wallet has not agreed to',
      guards: [
        {
          name: 'a refusal keeps the money away',
          file: deliver,
          text: 'return refusal ? await refuse(ctx, packet, refusal) : await takeMoney(ctx, packet, decision)',
          without:
            'return refusal && packet.prepare.amount === 0n ? refusal : await takeMoney(ctx, packet, decision)',
          test: { file: packets, name: 'the wallet rejects: nothing moves, and the sender hears why' },
        },
        {
          name: 'a refusal keeps the confirmation of a packet without money away',
          file: deliver,
          text: 'return refusal ?? decision.fulfill',
          without: 'return refusal && decision.fulfill ? decision.fulfill : decision.fulfill',
          test: {
            file: packets,
            name: 'packets without words and probes ask nobody; words without money do',
          },
        },
        {
          name: 'silence is a refusal',
          file: waiting,
          text: "{ accepted: false, reason: 'No response from receiving ASE' }",
          without: '{ accepted: true }',
          test: { file: packets, name: 'silence is a refusal after the longest wait' },
        },
        {
          name: 'a packet is answered before it expires',
          file: waiting,
          text: 'expiresAt.getTime() - limits.safetyMarginMs - nowMs',
          without: 'expiresAt.getTime() + limits.maxWaitMs - nowMs',
          test: { file: packets, name: 'a packet that expires sooner is answered before that' },
        },
        {
          name: 'nobody is held beyond the wait',
          file: waiting,
          text: 'Promise.race([askAndWait(partial, () => isOver), over])',
          without: 'Promise.race([askAndWait(partial, () => isOver)])',
          test: { file: decisions, name: 'a database that does not answer holds nobody beyond the wait' },
        },
        {
          name: 'a payment that is closed is not decided about',
          file: room,
          text: 'if (isFinal(found.state))',
          without: 'if (found.state.length === 0)',
          test: { file: packets, name: 'nothing is locked while the wallet thinks' },
        },
      ],
    },
    {
      name: 'A packet that comes again',
      guards: [
        {
          name: 'it is the same partial payment',
          file: ask,
          text: 'partialIncomingPaymentIdOf(packet.packetId)',
          without: 'partialIncomingPaymentIdOf(packet.packetId + Math.random())',
          test: { file: packets, name: 'the same packet asks once' },
        },
        {
          name: 'it is told once',
          file: room,
          text: "insertEvent(event, rawSql('select from asked'))",
          without: "insertEvent(event, rawSql('select'))",
          test: { file: decisions, name: 'asking many times at once is one event' },
        },
        {
          name: 'what was credited stays fulfilled',
          file: deliver,
          text: '(await answerAgain(ctx, packet)) ?? reject',
          without: '(await answerAgain(ctx, packet).then(() => undefined)) ?? reject',
          test: { file: packets, name: 'the same packet asks once' },
        },
      ],
    },
    {
      name: 'Whose words, and whose decision',
      guards: [
        {
          name: 'at rest the words are ciphertext',
          file: room,
          text: 'partialIncomingPaymentId },\n    sealedDataFromSender',
          without: 'partialIncomingPaymentId, dataFromSender },\n    sealedDataFromSender',
          test: { file: packets, name: 'at rest the words are ciphertext' },
        },
        {
          name: 'the list of events shows the cipher',
          file: 'shared/webhooks/sealed-data.ts',
          text: '{ ...data, dataFromSender: sealedParts(sealed) }',
          without: '{ ...data, dataFromSender: sealed }',
          test: { file: packets, name: 'at rest the words are ciphertext' },
        },
        {
          name: 'a tenant decides about its own',
          file: room,
          text: `\${scopeSql(scope, rawSql('p.tenant_id'))}`,
          without: `\${scopeSql('all' in {} ? scope : 'all', rawSql('p.tenant_id'))}`,
          test: {
            file: 'functions/admin/tenants-apart.test.ts',
            name: 'what another tenant has is as unknown',
          },
        },
        {
          name: 'a decision is about a packet of this payment',
          file: room,
          text: 'where d.incoming_payment_id = payment.id and payment.state',
          without: 'where payment.state',
          test: { file: mutations, name: 'unknown ids, of either kind' },
        },
        {
          name: 'a reason has a length',
          file: 'functions/admin/resolvers/partial-payments.ts',
          text: 'if (Buffer.byteLength(reason) > REASON_BYTES_MAX)',
          without: 'if (Buffer.byteLength(reason) < 0)',
          test: { file: mutations, name: 'refuses a reason that is too long for a packet' },
        },
      ],
    },
  ],
}
