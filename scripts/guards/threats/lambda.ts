import type { ThreatTable } from '../guard.ts'

const event = 'shared/aws-lambda/http-event.ts'
const handlerTests = 'shared/aws-lambda/http-handler.test.ts'
const openPaymentsTests = 'functions/open-payments/lambda.test.ts'

/** What differs where a gateway hands requests to functions that are frozen in between. */
export const lambdaThreats: ThreatTable = {
  title: 'Functions on Lambda',
  about:
    'Requests come as events of a gateway, whose word counts, and sandboxes stand still between two of them.',
  threats: [
    {
      name: 'what stood still while the sandbox did',
      guards: [
        {
          name: 'connections to the database that nobody remembers are given up before they are used',
          file: 'shared/node-context/node-context.ts',
          text: '    await db.dropDead()\n',
          without: '',
          test: {
            file: 'shared/node-context/node-context.test.ts',
            name: 'a sandbox that was frozen for long uses none of the connections',
          },
        },
        {
          name: 'and those of the authorization server',
          file: 'functions/auth/wiring.ts',
          text: '    await ctx.db.dropDead()\n',
          without: '',
          test: {
            file: 'functions/auth/lambda.test.ts',
            name: 'a sandbox that was frozen for long uses none of the connections',
          },
        },
        {
          name: 'for how long it has not heard of changes says the clock on the wall',
          file: 'shared/platform/deaf-listener.ts',
          text: 'now = () => Date.now()',
          without: 'now = () => performance.now()',
          test: {
            file: 'shared/platform/deaf-listener.test.ts',
            name: 'of a sandbox that stood still only the clock on the wall knows',
          },
        },
      ],
    },
    {
      name: 'a signature for another server, or for another request',
      guards: [
        {
          name: 'the host is the one that the gateway was called by',
          file: event,
          text: "headers.host.split(',') : domainName",
          without: "headers.host.split(',') : (headers.host ?? domainName)",
          test: {
            file: handlerTests,
            name: 'host, scheme, source and id are the word of the gateway, not of the client',
          },
        },
        {
          name: 'and one of ours',
          file: 'shared/http-signatures/target-uri.ts',
          text: "  if (!options.publicHosts.has(bare)) throw invalid('the host is not one of ours')\n",
          without: '',
          test: {
            file: openPaymentsTests,
            name: 'a signature for another host is worth nothing, whoever says that this is the host',
          },
        },
        {
          name: 'path and query are routed and verified as they were sent',
          file: 'shared/platform/gateway-request.ts',
          text: 'return gateway.target',
          without: "return new URL(gateway.target.replace(/^\\/+/, '/'), 'http://localhost').pathname",
          test: { file: openPaymentsTests, name: 'the signature covers path and query as they were sent' },
        },
        {
          name: 'what proxies say about the client is not passed on',
          file: event,
          text: '!FORWARDED.test(lower)',
          without: 'true',
          test: {
            file: handlerTests,
            name: 'host, scheme, source and id are the word of the gateway, not of the client',
          },
        },
        {
          name: 'two hosts are no host',
          file: event,
          text: "typeof headers.host === 'string' && headers.host.includes(',')",
          without: "typeof headers.host === 'boolean'",
          test: { file: handlerTests, name: 'two Host headers are refused, as over a socket' },
        },
      ],
    },
    {
      name: 'a limit by source is passed by naming another source',
      guards: [
        {
          name: 'the source is the address that the gateway saw',
          file: event,
          text: '    source: http.sourceIp,\n',
          without: "    source: String(event.headers['x-forwarded-for']),\n",
          test: {
            file: openPaymentsTests,
            name: 'attempts that fail are counted by the source that the gateway saw',
          },
        },
      ],
    },
    {
      name: 'a private listener is reached by another kind of event',
      guards: [
        {
          name: 'a function takes the kinds of events that it is there for',
          file: event,
          text: "isObject(context.elb) && kinds.includes('loadBalancer')",
          without: 'isObject(context.elb)',
          test: {
            file: handlerTests,
            name: 'what is no such event is refused, and what is none for this function',
          },
        },
      ],
    },
    {
      name: 'a secret that was changed or a tenant that was deleted goes on in a frozen sandbox',
      guards: [
        {
          name: 'a sandbox begins with what it may have missed',
          file: 'shared/aws-lambda/invocation.ts',
          text: '    await sandbox.invocation.begin()\n',
          without: '',
          test: {
            file: 'functions/admin/lambda.test.ts',
            name: 'what another process changed is seen within a second',
          },
        },
        {
          name: 'and forgets all tenants',
          file: 'shared/tenants/notice.ts',
          text: '    if (id === undefined) forgetTenantsHere(ctx.cache)\n    else if',
          without: '    if',
          test: {
            file: 'functions/admin/lambda.test.ts',
            name: 'what another process changed is seen within a second',
          },
        },
      ],
    },
    {
      name: 'secrets in what a start says',
      guards: [
        {
          name: 'a secret that cannot be read is named, and not its text',
          file: 'shared/aws-lambda/secrets.ts',
          text: '(error as Error).name',
          without: 'String(error)',
          test: {
            file: 'shared/aws-lambda/secrets.test.ts',
            name: 'everything that cannot be read is said at once, and no value with it',
          },
        },
      ],
    },
  ],
}
