import type { ThreatTable } from '../guard.ts'

const room = 'functions/open-payments'
const addresses = 'shared/wallet-addresses/address.test.ts'
const attacks = `${room}/attacks.test.ts`
const everyRoute = `${room}/every-route.test.ts`
const grant = `${room}/grant.test.ts`
const incomingPayments = `${room}/incoming-payments.test.ts`
const outgoingPayments = `${room}/outgoing-payments.test.ts`
const receivers = 'shared/receivers/receivers.test.ts'
const badRequests = `${room}/bad-requests.test.ts`

/** What stands before the resources of a wallet address. */
export const resourceServerThreats: ThreatTable = {
  title: 'Resource server',
  about:
    '`every-route.test.ts` tries every route that the specification and we have, so that a new one without its guards fails there.',
  threats: [
    {
      name: 'Token theft, unbound use (A10)',
      guards: [
        {
          name: 'every route demands proof of the key that the token is bound to',
          file: `${room}/route.ts`,
          text: 'const client = await verifyClientSignature(ctx, raw, { client: grant.client, tenantId })',
          without: "const client = 'walletAddress' in grant.client ? grant.client.walletAddress : ''",
          test: { file: everyRoute, name: "demands proof of the token's key" },
        },
        {
          name: 'so does the one about spent amounts',
          file: `${room}/outgoing-payment-grant.ts`,
          text: 'await verifyClientSignature(ctx, request, { client: grant.client, tenantId })',
          without: '',
          test: { file: everyRoute, name: "demands proof of the token's key" },
        },
        {
          name: 'a token that is not active opens nothing',
          file: `${room}/grant.ts`,
          text: "if (!introspection.active) throw new AccessRefusal('inactive_token')",
          without:
            "if (!introspection.active) return { id: 'x', client: { walletAddress: 'https://x.example/' }, seesAll: true }",
          test: { file: everyRoute, name: 'demands the right token' },
        },
        {
          name: 'the body is what was signed',
          file: `${room}/signature.ts`,
          text: '{ method, targetUri: target, headers, rawBody, source: request.ip }',
          without: '{ method, targetUri: target, headers, source: request.ip }',
          test: { file: attacks, name: 'is refused' },
        },
        {
          name: 'a nonce is spent once, across processes',
          file: `${room}/nonces.ts`,
          text: 'return claimed === 1',
          without: 'return claimed >= 0',
          test: {
            file: attacks,
            name: 'a request with a nonce is carried out once, at whatever path it is sent',
          },
        },
      ],
    },
    {
      name: 'Weak keys',
      guards: [
        {
          name: 'a wallet cannot register one',
          file: 'shared/wallet-addresses/model.ts',
          text: 'const { kid, x, alg, kty, crv } = parsePublicJwk(input)',
          without: 'const { kid, x, alg, kty, crv } = input as Jwk',
          test: { file: 'functions/admin/weak-keys.test.ts', name: 'a weak key is not registered' },
        },
      ],
    },
    {
      name: 'Cuckoo token: of another tenant',
      guards: [
        {
          name: 'the token must be of the tenant in the path',
          file: `${room}/grant.ts`,
          text: 'introspection.tenantId !== wanted.tenantId || ',
          without: '',
          test: { file: attacks, name: 'a token of one opens nothing of another, by whatever path' },
        },
        {
          name: 'the authorization server answers a tenant about its own tokens only',
          file: 'functions/auth/tokens/introspect-token.ts',
          text: 'input.tenantId !== undefined && input.tenantId !== token.tenantId',
          without: 'false',
          test: { file: 'functions/auth/introspection.test.ts', name: 'another tenant asks in vain' },
        },
        {
          name: 'resources are looked for inside the tenant',
          file: `${room}/incoming-payments.ts`,
          text: 'findIncomingPayment(ctx, { tenantId: request.tenantId }, id)',
          without: "findIncomingPayment(ctx, 'all', id)",
          test: { file: attacks, name: 'a token of one opens nothing of another, by whatever path' },
        },
        {
          name: "a wallet address must be the tenant's",
          file: `${room}/route.ts`,
          text: 'found?.tenantId === request.tenantId &&',
          without: 'found !== undefined &&',
          test: { file: attacks, name: 'a token of one opens nothing of another, by whatever path' },
        },
      ],
    },
    {
      name: 'Privilege escalation',
      guards: [
        {
          name: 'the action must be granted',
          file: `${room}/grant.ts`,
          text: '(granted.actions.includes(wanted.action) || includesAll(granted, wanted)) &&',
          without: '',
          test: { file: grant, name: 'what the authorization server matched is matched again' },
        },
        {
          name: 'the type must be granted',
          file: `${room}/grant.ts`,
          text: 'granted.type === wanted.type &&',
          without: '',
          test: { file: grant, name: 'what the authorization server matched is matched again' },
        },
        {
          name: 'an address that is named must be the same text',
          file: `${room}/grant.ts`,
          text: 'granted.identifier === wanted.identifier ||',
          without: 'granted.identifier !== undefined ||',
          test: { file: grant, name: 'what the authorization server matched is matched again' },
        },
        {
          name: 'what pays names its address',
          file: `${room}/grant.ts`,
          text: "granted.identifier === undefined && granted.type !== 'outgoing-payment'",
          without: 'granted.identifier === undefined',
          test: { file: grant, name: 'paying needs a grant that names the wallet address' },
        },
        {
          name: 'only reading and listing have an -all',
          file: `${room}/grant.ts`,
          text: "(action === 'read' || action === 'list') && ",
          without: '',
          test: { file: grant, name: '-all widens reading and listing, and nothing else' },
        },
        {
          name: 'the authorization server matches actions one way only',
          file: 'functions/auth/access/model.ts',
          text: "{ read: 'read-all', list: 'list-all' }",
          without: "{ read: 'read-all', list: 'list-all', 'read-all': 'read', 'list-all': 'list' }",
          test: {
            file: 'functions/auth/access/access.property.test.ts',
            name: 'one-directional: what is wanted is never more than what was granted',
          },
        },
        {
          name: 'and addresses as exact text',
          file: 'functions/auth/access/model.ts',
          text: 'if (granted.identifier !== wanted.identifier) return false',
          without: '',
          test: {
            file: 'functions/auth/access/access.property.test.ts',
            name: 'matching is what it is said to be, item by item',
          },
        },
        {
          name: 'read shows a client its own incoming payments',
          file: `${room}/incoming-payments.ts`,
          text: "if (!grant.seesAll && resource.client !== client) throw new RouteRefusal('incoming_payment_not_found')",
          without: 'void [grant, client]',
          test: {
            file: incomingPayments,
            name: 'one client sees nothing of another, whichever way it is known, unless it may see all',
          },
        },
        {
          name: 'list too',
          file: `${room}/incoming-payments.ts`,
          text: '...(!grant.seesAll && { client })',
          without: '...(client === undefined && grant)',
          test: {
            file: incomingPayments,
            name: 'one client sees nothing of another, whichever way it is known, unless it may see all',
          },
        },
        {
          name: 'quotes are their own client’s',
          file: `${room}/quotes.ts`,
          text: 'if (!grant.seesAll && resource.client !== client)',
          without: 'if (false)',
          test: {
            file: outgoingPayments,
            name: 'quotes and payments are their own client’s, unless it may see all',
          },
        },
        {
          name: 'outgoing payments too',
          file: `${room}/outgoing-payments.ts`,
          text: 'if (!grant.seesAll && resource.client !== client)',
          without: 'if (false)',
          test: {
            file: outgoingPayments,
            name: 'quotes and payments are their own client’s, unless it may see all',
          },
        },
        {
          name: 'clients that are known by a key are told apart by it',
          file: `${room}/signature.ts`,
          text: "return 'jwk' in client ? jwkThumbprint(client.jwk) : client.walletAddress",
          without: "return 'jwk' in client ? (jwkThumbprint(client.jwk), 'a key') : client.walletAddress",
          test: {
            file: incomingPayments,
            name: 'one client sees nothing of another, whichever way it is known, unless it may see all',
          },
        },
        {
          name: 'a closed wallet address takes nothing',
          file: `${room}/route.ts`,
          text: 'isActive(found)',
          without: 'found !== undefined',
          test: {
            file: incomingPayments,
            name: 'an inactive wallet address takes no requests for its payments either',
          },
        },
      ],
    },
    {
      name: 'Receiver host confusion (A15)',
      guards: [
        {
          name: 'a foreign host with an id of ours is foreign',
          file: 'shared/receivers/url.ts',
          text: 'if (receiver.host !== own.host) return false',
          without: '',
          test: {
            file: 'shared/receivers/receivers.test.ts',
            name: 'a foreign host with a local id is asked, not believed to be local',
          },
        },
        {
          name: 'a tenant in the path must be the owner',
          file: 'shared/receivers/receivers.ts',
          text: "receiver.tenantId === undefined ? 'all' : { tenantId: receiver.tenantId }",
          without: "'all'",
          test: { file: 'shared/receivers/receivers.test.ts', name: "but not under a wrong tenant's" },
        },
      ],
    },
    {
      name: 'Answers of nodes that mean harm',
      guards: [
        {
          name: 'what parses and cannot be kept or sent on is no answer',
          file: 'shared/receivers/wire.ts',
          text: 'value = parseJsonBody(body)',
          without: "value = JSON.parse(body.toString('utf8'))",
          test: { file: receivers, name: 'amounts and dates of another node are parsed strictly' },
        },
        {
          name: 'an incoming payment is in one asset',
          file: 'shared/receivers/wire.ts',
          text: 'if (incomingAmount && !isSameAsset(incomingAmount, receivedAmount))',
          without: 'if (!receivedAmount)',
          test: { file: receivers, name: 'amounts and dates of another node are parsed strictly' },
        },
        {
          name: 'whose code has a length that can be kept',
          file: 'shared/receivers/wire.ts',
          text: 'if (amount.assetCode.length > ASSET_CODE_LENGTH_MAX)',
          without: 'if (!amount)',
          test: { file: receivers, name: 'amounts and dates of another node are parsed strictly' },
        },
        {
          name: 'so has the URL of its authorization server',
          file: 'shared/receivers/wire.ts',
          text: 'value.length > URL_LENGTH_MAX || ',
          without: '',
          test: {
            file: receivers,
            name: 'a node that names an authorization server that cannot be kept is unreadable',
          },
        },
        {
          name: 'of wallet addresses and grants too',
          file: 'shared/grants-client/model.ts',
          text: ' && value.length <= URL_LENGTH_MAX',
          without: '',
          test: { file: 'shared/grants-client/client.test.ts', name: 'no document: ' },
        },
        {
          name: 'and they are texts that can be kept',
          file: 'shared/grants-client/model.ts',
          text: 'const value = parseJsonBody(body)',
          without: "const value: unknown = JSON.parse(body.toString('utf8'))",
          test: { file: 'shared/grants-client/client.test.ts', name: 'no document: ' },
        },
      ],
    },
    {
      name: 'Pre-authentication amplification (A16)',
      guards: [
        {
          name: 'a wallet is told of unknown addresses that could be its own only',
          file: `${room}/wallet-addresses.ts`,
          text: 'if (prefix === undefined || !isBelowPrefix(url, prefix)) return undefined',
          without: '',
          test: {
            file: `${room}/wallet-addresses.test.ts`,
            name: 'asking for the keys of an unknown address gives the wallet time to create it',
          },
        },
        {
          name: 'and not endlessly for one source',
          file: `${room}/wallet-addresses.ts`,
          text: 'ctx.signatures.limiter.take(source)',
          without: 'void source',
          test: {
            file: `${room}/wallet-addresses.test.ts`,
            name: 'one source cannot make wallets wait for ever',
          },
        },
        {
          name: 'behind a proxy the source is what the proxy saw, not what the client says',
          file: 'shared/platform/http-app.ts',
          text: 'hop === 0',
          without: 'hop >= 0',
          test: {
            file: 'shared/platform/http-app.test.ts',
            name: 'behind a proxy that is trusted, the source is who connected to the proxy, not who the client says it is',
          },
        },
        {
          name: 'who is refused for that is told when to come back',
          file: `${room}/error-answer.ts`,
          text: "if (status === 429) reply.header('retry-after', '1')",
          without: '',
          test: { file: attacks, name: 'who has sent too much that proves nothing is told to come later' },
        },
      ],
    },
    {
      name: 'Fetch loops',
      guards: [
        {
          name: 'no connection to the database is held while another node, or this one, is asked',
          file: `${room}/route.ts`,
          text: 'const client = await verifyClientSignature(ctx, raw, { client: grant.client, tenantId })',
          without:
            'const client = await ctx.db.tx(async () => verifyClientSignature(ctx, raw, { client: grant.client, tenantId }))',
          test: {
            file: attacks,
            name: 'keys that this very node publishes: many at once need no second connection to the database',
          },
        },
      ],
    },
    {
      name: 'Path tricks (B47)',
      guards: [
        {
          name: 'a path is decoded before it is compared',
          file: 'shared/wallet-addresses/address.ts',
          text: 'decodeURIComponent(path).toLowerCase()',
          without: 'path.toLowerCase()',
          test: { file: addresses, name: 'addresses below the prefix are stored in one form' },
        },
        {
          name: 'and never twice',
          file: 'shared/wallet-addresses/address.ts',
          text: '%\\p{Cc}]/u',
          without: '\\p{Cc}]/u',
          test: { file: addresses, name: 'addresses outside the prefix' },
        },
        {
          name: 'dots do not lead elsewhere, encoded or not',
          file: 'shared/wallet-addresses/address.ts',
          text: "segment === '.' || segment === '..'",
          without: "segment === '.'",
          test: {
            file: `${room}/wallet-address-url.test.ts`,
            name: 'what would be another path after parsing is no wallet address',
          },
        },
        {
          name: 'what is reserved is reserved however it is written',
          file: 'shared/wallet-addresses/address.ts',
          text: 'refuseReserved(new URL(normalised)',
          without: 'refuseReserved(new URL(address)',
          test: { file: addresses, name: 'addresses outside the prefix' },
        },
      ],
    },
    {
      name: 'Exhaustion',
      guards: [
        {
          name: 'paths are bounded before they are trimmed',
          file: 'shared/wallet-addresses/address.ts',
          text: 'text.length > LENGTH_MAX || ',
          without: '',
          test: {
            file: `${room}/wallet-address-url.test.ts`,
            name: 'a path that is longer than any address is refused at once',
          },
        },
        {
          name: 'JSON is nested so far and no further',
          file: 'shared/platform/json-body.ts',
          text: "if (depth === DEPTH_MAX) throw refuse('Bad Request: nested too deeply')",
          without: '',
          test: {
            file: 'shared/platform/json-body.test.ts',
            name: 'nesting is bounded, at once however deep it is',
          },
        },
        {
          name: 'bodies have a megabyte at most',
          file: 'shared/platform/http-app.ts',
          text: 'bodyLimit: options.bodyLimit ?? 1024 * 1024',
          without: 'bodyLimit: options.bodyLimit ?? 1024 * 1024 * 1024',
          test: { file: badRequests, name: 'a body without a type, malformed or too large' },
        },
      ],
    },
    {
      name: 'What is signed and what is used differ (A6)',
      guards: [
        {
          name: 'a member that comes twice is malformed',
          file: 'shared/platform/json-body.ts',
          text: 'if (JSON.stringify(value) !== text) checkNames(text)',
          without: '',
          test: {
            file: 'shared/platform/json-body.test.ts',
            name: 'a member that comes twice is refused, however it is written and wherever it stands',
          },
        },
      ],
    },
    {
      name: 'Information leak',
      guards: [
        {
          name: 'what is ours to repair says nothing of itself',
          file: `${room}/error-answer.ts`,
          text: 'return (error instanceof Error && transportAnswer(error)) || INTERNAL',
          without:
            'return (error instanceof Error && transportAnswer(error)) || { ...INTERNAL, description: String(error) }',
          test: {
            file: `${room}/error-answer.test.ts`,
            name: 'what is ours to repair says nothing of itself',
          },
        },
        {
          name: 'nor does what the network here says of a receiver',
          file: `${room}/error-answer.ts`,
          text: 'if (isAboutReceiver && isOfOurNetwork(refusal)) return UNREACHABLE',
          without: '',
          test: { file: attacks, name: 'errors say what is wrong and nothing of how things are made' },
        },
        {
          name: 'a name that leads inside is answered as one that leads nowhere',
          file: `${room}/error-answer.ts`,
          text: " || (error.code === 'egress_denied' && 'addresses' in error.details)",
          without: '',
          test: {
            file: `${room}/error-answer.test.ts`,
            name: 'what the network here says of a receiver is not told, nor which names it knows',
          },
        },
        {
          name: 'nor do the parts that made the server',
          file: 'shared/platform/http-app.ts',
          text: "answer.status(400).send({ error: { code: '400', description: 'Bad Request' } })",
          without: 'answer.status(400).send(_error)',
          test: { file: attacks, name: 'errors say what is wrong and nothing of how things are made' },
        },
        {
          name: 'nor where no request could be read',
          file: 'shared/platform/http-app.ts',
          text: 'clientErrorHandler: refuseNoRequest,',
          without: '',
          test: {
            file: 'shared/platform/http-app.test.ts',
            name: 'what proxies may read in two ways is refused',
          },
        },
        {
          name: 'without a token only the amount and the authorization server are shown',
          file: `${room}/incoming-payments.ts`,
          text: 'ok(toPublicIncomingPayment(ctx.urls, resource))',
          without: 'ok(toIncomingPayment(ctx.urls, resource))',
          test: { file: everyRoute, name: 'demands a token' },
        },
      ],
    },
    {
      name: 'Host spoofing, X-Forwarded-*',
      guards: [
        {
          name: "the node's own hosts are known",
          file: `${room}/signature.ts`,
          text: 'publicHosts: await hostsOf(ctx, proof.tenantId)',
          without: "publicHosts: new Set([...(await hostsOf(ctx, proof.tenantId)), headers.host ?? ''])",
          test: {
            file: attacks,
            name: 'what was signed for another server is worth nothing here, whatever the request calls this one',
          },
        },
        {
          name: 'there is one of them',
          file: 'shared/platform/http-app.ts',
          text: 'if (hosts <= 1) return done()',
          without: 'if (hosts <= 2) return done()',
          test: {
            file: 'shared/platform/http-app.test.ts',
            name: 'what proxies may read in two ways is refused',
          },
        },
      ],
    },
  ],
}
