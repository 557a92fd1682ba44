import type { ThreatTable } from '../guard.ts'

const room = 'functions/auth'
const attacks = `${room}/attacks.test.ts`
const auth = `${room}/auth.test.ts`
const continuation = `${room}/continuation.test.ts`
const introspection = `${room}/introspection.test.ts`
const grantStore = `${room}/grants/store.ts`
const tokenStore = `${room}/tokens/store.ts`

/** Grants and tokens. */
export const authorizationServerThreats: ThreatTable = {
  title: 'Grants and tokens',
  about: 'The authorization server, without what concerns the person who is asked.',
  threats: [
    {
      name: 'Token theft, unbound use',
      guards: [
        {
          name: 'a grant is given to who proves its key',
          file: `${room}/grant-routes.ts`,
          text: '    await proveClient(ctx, request, body.client)\n',
          without: '',
          test: { file: auth, name: 'who does not prove its key gets nothing' },
        },
        {
          name: 'a token that has expired is inactive',
          file: tokenStore,
          text: 't.expires_at >= ',
          without: "'-infinity'::timestamptz < ",
          test: {
            file: introspection,
            name: 'unknown, expired and revoked tokens and those of revoked grants are inactive, and say nothing more',
          },
        },
        {
          name: 'so is one that was revoked, or whose grant was',
          file: tokenStore,
          text: `const notRevoked = sql\`t.revoked_at is null and \${grantNotRevoked}\``,
          without: 'const notRevoked = sql`true`',
          test: {
            file: introspection,
            name: 'unknown, expired and revoked tokens and those of revoked grants are inactive, and say nothing more',
          },
        },
      ],
    },
    {
      name: 'Key binding on management and continuation',
      guards: [
        {
          name: 'who rotates or revokes proves the key',
          file: `${room}/tokens/manage-token.ts`,
          text: 'await prove(token.client)',
          without: 'void prove',
          test: { file: auth, name: 'the management URL alone is not enough: right token, right key' },
        },
        {
          name: 'and presents the token',
          file: tokenStore,
          text: ` and t.token_hash = \${hashSecret(key.value)} and `,
          without: ' and ',
          test: { file: auth, name: 'the management URL alone is not enough: right token, right key' },
        },
        {
          name: 'who continues or cancels proves the key',
          file: `${room}/grants/continue-grant.ts`,
          text: 'await prove(grant.client)',
          without: 'void prove',
          test: { file: auth, name: 'id and token belong together' },
        },
        {
          name: 'of parallel rotations one wins',
          file: tokenStore,
          text: `where t.id = \${oldId} and t.revoked_at is null\n`,
          without: `where t.id = \${oldId}\n`,
          test: { file: auth, name: 'eight parallel rotations have one winner, and one token is alive' },
        },
      ],
    },
    {
      name: 'Continuation hijack',
      guards: [
        {
          name: 'the id alone is not enough',
          file: grantStore,
          text: ` and continue_token_hash = \${hashSecret(key.continueToken)}`,
          without: '',
          test: { file: attacks, name: 'after a cancellation nothing of the grant can be used' },
        },
        {
          name: 'a cancelled grant is gone',
          file: grantStore,
          text: `\n          and finalization_reason is distinct from \${REVOKED}\`,\n  )`,
          without: '`,\n  )',
          test: { file: attacks, name: 'after a cancellation nothing of the grant can be used' },
        },
      ],
    },
    {
      name: 'Parallel continuation',
      guards: [
        {
          name: 'an approved grant is issued once',
          file: grantStore,
          text: `where id = \${grantId} and \${inState('APPROVED')}`,
          without: `where id = \${grantId}`,
          test: {
            file: attacks,
            name: 'eight continuations at a time are one, with connections ready for all of them',
          },
        },
        {
          name: 'polls wait',
          file: `${room}/grants/model.ts`,
          text: "if (isTooFast(grant, now, waitSeconds)) return 'too_fast'\n  if (grant.hasFinish)",
          without: 'if (grant.hasFinish)',
          test: { file: continuation, name: 'wait, and each poll that is answered starts the wait again' },
        },
      ],
    },
    {
      name: 'Pre-authentication amplification (A16)',
      guards: [
        {
          name: 'nothing is fetched for a tenant that is not there',
          file: `${room}/grant-routes.ts`,
          text: "    if (!tenant) throw new AuthRefusal('tenant_unknown')\n    await proveClient(ctx, request, body.client)\n",
          without:
            "    await proveClient(ctx, request, body.client)\n    if (!tenant) throw new AuthRefusal('tenant_unknown')\n",
          test: {
            file: attacks,
            name: 'nothing for a request that is wrong without a key, or for a tenant that is not there',
          },
        },
        {
          name: 'who has sent too much is told when to come back',
          file: `${room}/error-answer.ts`,
          text: "if (rendered.status === 429) reply.header('retry-after', '1')",
          without: '',
          test: { file: attacks, name: 'who has sent too much that proves nothing is told to come later' },
        },
        {
          name: 'the window for signatures is configured',
          file: `${room}/wiring.ts`,
          text: 'windowSeconds: config.signatureWindowSeconds',
          without: 'windowSeconds: 300',
          test: { file: attacks, name: 'how far clocks may differ is configured' },
        },
      ],
    },
    {
      name: 'Key proof replay (A4)',
      guards: [
        {
          name: 'a nonce is spent once, across processes',
          file: `${room}/nonces.ts`,
          text: 'return claimed === 1',
          without: 'return claimed >= 0',
          test: { file: auth, name: 'a signature with a nonce is good once, one of another minute never' },
        },
      ],
    },
    {
      name: 'Tokens kept in clear (A14)',
      guards: [
        {
          name: 'what the database has is a hash',
          file: `${room}/tokens/model.ts`,
          text: "hash('sha256', value, 'buffer')",
          without: "Buffer.from(value.padEnd(32, '0').slice(0, 32))",
          test: { file: attacks, name: 'neither is kept as it is: the database has hashes' },
        },
      ],
    },
    {
      name: 'Mix-up of authorization servers',
      guards: [
        {
          name: 'what clients are told to come back to is where this server says that it is',
          file: `${room}/wiring.ts`,
          text: 'authServerUrl: withoutSlash(config.authServerUrl)',
          without: "authServerUrl: 'https://elsewhere.example'",
          test: {
            file: attacks,
            name: 'forwarded headers count when the node is told to trust its proxy, and then for our hosts only',
          },
        },
      ],
    },
    {
      name: 'Host spoofing, X-Forwarded-*',
      guards: [
        {
          name: "the server's own hosts are known",
          file: `${room}/clients/clients.ts`,
          text: '      ctx,\n    )\n',
          without:
            "      { ...ctx, publicHosts: new Set([...ctx.publicHosts, headers.host ?? '']) },\n    )\n",
          test: {
            file: attacks,
            name: 'what was signed for another server is worth nothing here, whatever the Host header says',
          },
        },
      ],
    },
    {
      name: 'Information leak',
      guards: [
        {
          name: 'grants and tokens are not kept on the way',
          file: `${room}/app.ts`,
          text: "'cache-control': 'no-store', ",
          without: '',
          test: { file: attacks, name: 'grants and tokens are nobody’s to keep' },
        },
        {
          name: 'nor is the address told that they came from',
          file: `${room}/app.ts`,
          text: "'referrer-policy': 'no-referrer' ",
          without: '',
          test: { file: attacks, name: 'grants and tokens are nobody’s to keep' },
        },
      ],
    },
  ],
}
