import type { ThreatTable } from '../guard.ts'

const room = 'functions/auth'
const interactions = `${room}/interactions.test.ts`
const idpApi = `${room}/idp-api.test.ts`
const grantRequests = `${room}/grant-requests.test.ts`
const continuation = `${room}/continuation.test.ts`
const store = `${room}/interactions/store.ts`
const routes = `${room}/interact-routes.ts`

/** The person who is asked, their browser, and their identity provider. */
export const interactionThreats: ThreatTable = {
  title: 'Consent',
  about: 'From the browser that is sent away to the reference that it brings back.',
  threats: [
    {
      name: 'Interaction hijack and fixation',
      guards: [
        {
          name: 'who finishes has the session that started',
          file: `${room}/interactions/model.ts`,
          text: "if (!hasSession) return 'no_session'",
          without: '',
          test: { file: interactions, name: 'only the browser that started finishes' },
        },
        {
          name: 'a session is for one interaction',
          file: store,
          text: ` and interaction_id = \${session.interactionId} and expires_at`,
          without: ' and expires_at',
          test: { file: interactions, name: 'what a browser had before is not what it finishes with' },
        },
        {
          name: 'a session is new at each start',
          file: `${room}/interactions/start-interaction.ts`,
          text: 'session: { id: session.id, lifeMs: expiresAt.getTime() - now.getTime() },',
          without: '',
          test: { file: interactions, name: 'what a browser had before is not what it finishes with' },
        },
        {
          name: 'a session ends',
          file: store,
          text: `interaction_id = \${session.interactionId} and expires_at > \${now}`,
          without: `interaction_id = \${session.interactionId}`,
          test: { file: interactions, name: 'a session ends with its time' },
        },
        {
          name: 'the cookie is signed',
          file: routes,
          text: 'return unsigned?.valid ? unsigned.value : undefined',
          without: "return unsigned?.valid ? unsigned.value : signed?.split('.')[0]",
          test: { file: interactions, name: 'only the browser that started finishes' },
        },
        {
          name: 'who knows the id does not know the nonce',
          file: store,
          text: `from \${joined} where i.id = \${key.id} and i.nonce_hash = \${hashSecret(key.nonce)}\``,
          without: `from \${joined} where i.id = \${key.id}\``,
          test: { file: interactions, name: 'what it does not know does not exist' },
        },
        {
          name: 'one browser considers several at once',
          file: routes,
          text: `const cookieName = (id: string) => \`sessionId.\${id.toLowerCase()}\``,
          without: "const cookieName = (_id: string) => 'sessionId'",
          test: {
            file: interactions,
            name: 'one browser considers several at once, started side by side, and one of them twice',
          },
        },
      ],
    },
    {
      name: 'Reference replay, double finish',
      guards: [
        {
          name: 'a finish moves a pending grant only',
          file: `${room}/grants/store.ts`,
          text: `where id = \${grantId} and \${inState('PENDING')}\`,\n  )\n  return settled === 1`,
          without: `where id = \${grantId}\`,\n  )\n  return settled === 1`,
          test: {
            file: interactions,
            name: 'again and again: the same reference, and an issued grant stays issued',
          },
        },
        {
          name: 'a reference is good once, also for eight at a time',
          file: `${room}/grants/store.ts`,
          text: `where id = \${grantId} and \${inState('APPROVED')}`,
          without: `where id = \${grantId}`,
          test: {
            file: interactions,
            name: 'eight at a time, with eight continuations: one reference, one token',
          },
        },
      ],
    },
    {
      name: 'Callback integrity',
      guards: [
        {
          name: "the hash covers the client's nonce, ours, the reference and where the client asked",
          file: `${room}/interactions/model.ts`,
          text: '[input.clientNonce, input.serverNonce, input.reference, input.grantEndpoint]',
          without: '[input.clientNonce, input.serverNonce, input.reference]',
          test: {
            file: interactions,
            name: 'with a finish: a hash that the client can check, and a reference that is good once',
          },
        },
        {
          name: 'the reference belongs to the grant',
          file: `${room}/grants/model.ts`,
          text: "if (!isOurs || grant.finalizationReason === 'REJECTED') return 'unknown'",
          without: "if (grant.finalizationReason === 'REJECTED') return 'unknown'",
          test: { file: continuation, name: 'each row of the table' },
        },
        {
          name: 'what the finish URI brings along cannot speak for us',
          file: `${room}/interactions/model.ts`,
          text: 'result.searchParams.set(name, value)',
          without: 'result.searchParams.append(name, value)',
          test: {
            file: interactions,
            name: 'what is in the query of the finish uri stays, but cannot speak for us',
          },
        },
      ],
    },
    {
      name: 'Mix-up of authorization servers',
      guards: [
        {
          name: 'the hash names the endpoint of the tenant that the client asked',
          file: `${room}/interactions/finish-interaction.ts`,
          text: `grantEndpoint: \`\${ctx.grantUrl}/\${tenantId}\``,
          without: 'grantEndpoint: (void tenantId, ctx.grantUrl)',
          test: { file: interactions, name: 'the hash names the endpoint that clients are told of' },
        },
      ],
    },
    {
      name: 'Open redirect',
      guards: [
        {
          name: 'browsers are sent over https, or within their own machine',
          file: `${room}/grants/finish.ts`,
          text: "return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))",
          without: "return protocol !== '' || isLoopback(hostname)",
          test: { file: grantRequests, name: 'where the browser is sent back to' },
        },
        {
          name: 'no user, no fragment, no back slash',
          file: `${room}/plain-url.ts`,
          text: ' && PLAIN_URL.test(text)',
          without: '',
          test: { file: grantRequests, name: 'where the browser is sent back to' },
        },
        {
          name: 'checked before anything is stored',
          file: `${room}/grants/decide-grant.ts`,
          text: 'const finish = parseFinish(request.interact.finish)',
          without: 'const finish = (void parseFinish, request.interact.finish)',
          test: { file: grantRequests, name: 'where the browser is sent back to' },
        },
      ],
    },
    {
      name: 'Spoofed consent (A2)',
      guards: [
        {
          name: 'the person is shown who asked, from the grant',
          file: `${room}/interactions/start-interaction.ts`,
          text: 'clientName: client.name,',
          without: '',
          test: {
            file: interactions,
            name: 'the person is shown who really asks, whatever the address says',
          },
        },
        {
          name: 'the identity provider is told it too',
          file: `${room}/interaction-app.ts`,
          text: '      client,\n',
          without: '      ...(client === undefined && { client }),\n',
          test: {
            file: interactions,
            name: 'with a finish: a hash that the client can check, and a reference that is good once',
          },
        },
        {
          name: 'names are shown without what could deceive',
          file: `${room}/clients/client-name.ts`,
          text: ".replace(UNSHOWABLE, '')",
          without: '',
          test: { file: grantRequests, name: 'is shown without what could deceive, and not at any length' },
        },
        {
          name: 'a client is named by a plain URL, which is read as it was fetched',
          file: `${room}/clients/clients.ts`,
          text: 'if (!isPlainUrl(walletAddress))',
          without: 'if (!walletAddress)',
          test: { file: grantRequests, name: 'a client is a plain URL, of a length that can be kept' },
        },
      ],
    },
    {
      name: 'Secret of the identity provider (A12)',
      guards: [
        {
          name: 'the sealed secret is the one that counts',
          file: `${room}/tenants/idp.ts`,
          text: 'openSecret(ctx, row) === secret',
          without: 'openSecret(ctx, row) !== undefined',
          test: {
            file: idpApi,
            name: 'that older code wrote are found after the next start; that it replaced are nobody’s at once',
          },
        },
        {
          name: 'they are found by a keyed hash',
          file: 'shared/platform/secret-box.ts',
          text: "createHmac('sha256', key.fingerprint)",
          without: "createHmac('sha256', '')",
          test: { file: idpApi, name: 'cannot be guessed from what is kept: who has no key cannot make it' },
        },
        {
          name: 'who has no secret learns nothing',
          file: `${room}/interaction-app.ts`,
          text: 'if (tenantIds.length === 0) throw new AuthRefusal(refusal)',
          without: '',
          test: {
            file: idpApi,
            name: 'nobody without a secret; a guess tells nothing, of whatever length it is, about whatever',
          },
        },
        {
          name: "one tenant's identity provider knows its own people",
          file: store,
          text: ` and g.tenant_id = any(\${tenantIds})`,
          without: ` and cardinality(\${tenantIds}::uuid[]) > 0`,
          test: { file: idpApi, name: "each identity provider knows its own tenant's people only" },
        },
        {
          name: 'a decision counts once',
          file: store,
          text: `where i.id = \${id} and i.state = 'PENDING' and i.expires_at > \${now} and \${grantIn('PENDING')}\``,
          without: `where i.id = \${id}\``,
          test: { file: idpApi, name: 'eight at a time: one' },
        },
      ],
    },
    {
      name: 'Clickjacking, forged requests, leaking addresses',
      guards: [
        {
          name: 'no frames',
          file: routes,
          text: "default-src 'none'; frame-ancestors 'none'",
          without: "default-src 'none'",
          test: { file: interactions, name: 'what it does not know does not exist' },
        },
        {
          name: 'no referrer',
          file: routes,
          text: "    'referrer-policy': 'no-referrer',\n",
          without: '',
          test: { file: interactions, name: 'what it does not know does not exist' },
        },
        {
          name: 'nothing is stored',
          file: routes,
          text: "    'cache-control': 'no-store',\n",
          without: '',
          test: { file: interactions, name: 'what it does not know does not exist' },
        },
        {
          name: 'the cookie is not for scripts',
          file: routes,
          text: 'httpOnly: true',
          without: 'httpOnly: false',
          test: { file: interactions, name: 'are for us only, and no longer than the interaction' },
        },
        {
          name: 'nor for other sites',
          file: routes,
          text: 'sameSite: ctx.cookie.sameSite',
          without: "sameSite: 'none'",
          test: { file: interactions, name: 'are for us only, and no longer than the interaction' },
        },
        {
          name: 'nor for plain http where the browser came over https',
          file: routes,
          text: "secure: request.protocol === 'https'",
          without: 'secure: false',
          test: {
            file: interactions,
            name: 'are secure behind a proxy that speaks https, and for other sites where configured',
          },
        },
      ],
    },
  ],
}
