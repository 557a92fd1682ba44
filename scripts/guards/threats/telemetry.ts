import type { ThreatTable } from '../guard.ts'

const telemetryTests = 'shared/telemetry/telemetry.test.ts'
const instruments = 'shared/telemetry/instruments.ts'
const instrumentTests = 'shared/telemetry/instruments.test.ts'

/** What watching must not do. */
export const telemetryThreats: ThreatTable = {
  title: 'Telemetry',
  about: 'Being watched gives nobody a way in, tells nothing to strangers and disturbs nothing.',
  threats: [
    {
      name: 'Traces that others steer or read',
      guards: [
        {
          name: 'headers of strangers are not believed',
          file: 'shared/telemetry/observe-http-app.ts',
          text: "...(callers === 'node' && { caller: request.headers }),",
          without: '...{ caller: request.headers },',
          test: {
            file: telemetryTests,
            name: 'of requests go on with the trace of callers that are believed, and of nobody else',
          },
        },
        {
          name: 'strangers are told no trace and no payment',
          file: 'shared/telemetry/observe-http-client.ts',
          text: "name === 'trusted' ? tracing.carried() : undefined",
          without: 'tracing.carried()',
          test: {
            file: telemetryTests,
            name: 'leave with requests to parts of the node, and never with those to strangers',
          },
        },
        {
          name: 'what is no id of a payment is not passed on as one',
          file: 'shared/telemetry/payment-trace.ts',
          text: '...(isUuid(outgoingPaymentId) && { outgoingPaymentId }),',
          without: '...(outgoingPaymentId !== undefined && { outgoingPaymentId }),',
          test: {
            file: telemetryTests,
            name: 'headers are read strictly, and nothing else is ever an error',
          },
        },
      ],
    },
    {
      name: 'Labels without end',
      guards: [
        {
          name: 'a metric has a bounded number of series',
          file: instruments,
          text: 'if (known.size >= SERIES_MAX) return overflow()',
          without: 'if (known.size < 0) return overflow()',
          test: { file: instrumentTests, name: 'has a bounded number of series, and loses none of the sum' },
        },
        {
          name: 'codes of rejects that nobody knows are one',
          file: 'connector/pipeline/observe-packets.ts',
          text: "(Object.hasOwn(ilpErrors, code) ? code : 'other')",
          without: '(Object.hasOwn(ilpErrors, code) ? code : code)',
          test: {
            file: 'connector/pipeline/observe-packets.test.ts',
            name: 'have no more codes than there are, whatever peers say',
          },
        },
        {
          name: 'and so are statuses of webhook receivers',
          file: 'functions/webhooks/observe-attempts.ts',
          text: "STATUS_CODES[status] === undefined ? 'other' : String(status)",
          without: 'STATUS_CODES[status] === undefined ? String(status) : String(status)',
          test: {
            file: 'functions/webhooks/observe-attempts.test.ts',
            name: 'attempts are counted by what came back, and receivers cannot invent statuses',
          },
        },
        {
          name: 'a path is its route, not itself',
          file: 'shared/telemetry/observe-http-app.ts',
          text: "request.routeOptions.url ?? 'none'",
          without: 'request.url',
          test: {
            file: telemetryTests,
            name: 'requests are timed by the pattern of their route, and no id becomes a label',
          },
        },
      ],
    },
    {
      name: 'Watching that disturbs',
      guards: [
        {
          name: 'an observer that throws leaves its metric out',
          file: instruments,
          text: 'readingOf(name).catch(() => undefined)',
          without: 'readingOf(name)',
          test: { file: instrumentTests, name: 'is never thrown at, and a counter never goes down' },
        },
        {
          name: 'one that hangs is not waited for',
          file: instruments,
          text: 'return await Promise.race([work, late])',
          without: 'return await Promise.race([work])',
          test: { file: instrumentTests, name: 'does not wait for an observer that hangs' },
        },
        {
          name: 'a price that cannot be had throws at nobody',
          file: 'shared/telemetry/usd.ts',
          text: '      } catch (error) {\n        note(messageOf(error))\n      }',
          without: '      } finally {\n        note(messageOf(0))\n      }',
          test: {
            file: 'connector/pipeline/observe-packets.test.ts',
            name: 'get their answer, or none, whatever becomes of the counting',
          },
        },
        {
          name: 'fast payments make a bounded number of spans',
          file: 'connector/pipeline/observe-packets.ts',
          text: 'return spans++ < SPANS_PER_SECOND',
          without: 'return spans++ < Number.POSITIVE_INFINITY',
          test: {
            file: 'connector/pipeline/observe-packets.test.ts',
            name: 'have spans, a bounded number in a second',
          },
        },
        {
          name: 'a collector that says nothing is given up',
          file: 'shared/telemetry/collector-transport.ts',
          text: '}, SEND_MS)',
          without: '}, 2 ** 31 - 1)',
          test: {
            file: telemetryTests,
            name: 'fails when the collector says so, when it is gone and when it says nothing',
          },
        },
      ],
    },
  ],
}
