import type { ThreatTable } from '../guard.ts'

const hmac = 'shared/platform/hmac-signature.ts'
const signature = 'shared/graphql-server/signature.ts'
const app = 'shared/graphql-server/graphql-app.ts'
const signatureTests = 'shared/graphql-server/signature.test.ts'
const appTests = 'shared/graphql-server/graphql-app.test.ts'
const authAttacks = 'functions/auth/admin/attacks.test.ts'

/** Both Admin APIs, and secrets wherever they are. */
export const adminThreats: ThreatTable = {
  title: 'Admin APIs and secrets',
  about: 'The Admin API of the node and that of the authorization server share their signatures.',
  threats: [
    {
      name: 'Admin HMAC',
      guards: [
        {
          name: 'a mutation is carried out once for a signature',
          file: 'shared/graphql-server/graphql.ts',
          text: 'if (toUse && !unused && !(await claim(toUse))) return UNAUTHORIZED',
          without: '',
          test: {
            file: appTests,
            name: 'carries a mutation out once for a signature, whichever way it is repeated; a query again',
          },
        },
        {
          name: 'and so is one that is asked for together with one that uses its signature itself',
          file: 'shared/graphql-server/graphql.ts',
          text: 'field?.kind !== Kind.FIELD || others.length > 0',
          without: 'field?.kind !== Kind.FIELD',
          test: { file: appTests, name: 'leaves the signature to a mutation that uses it itself' },
        },
        {
          name: 'a mutation without a key uses its signature up',
          file: 'functions/admin/idempotency.ts',
          text: '!(await createSignatureClaims(ctx)(request.signature))',
          without: 'request.key',
          test: { file: 'functions/admin/idempotency.test.ts', name: 'uses a signature up without a key' },
        },
        {
          name: 'whose signature was used takes no key',
          file: 'functions/admin/idempotency-store.ts',
          text: 'from asked where place in (select place from admitted) order by',
          without: 'from asked order by',
          test: {
            file: 'functions/admin/idempotency.test.ts',
            name: 'takes no key for a signature that was used',
          },
        },
        {
          name: 'of replays in one statement one takes the key',
          file: 'functions/admin/idempotency-store.ts',
          text: '(select distinct on (digest) place from asked join used',
          without: '(select place from asked join used',
          test: { file: 'functions/admin/idempotency.test.ts', name: 'uses up the signature with the key' },
        },
        {
          name: 'of 100 at once one, at the node',
          file: 'functions/admin/used-signatures.ts',
          text: 'select distinct on (digest) *',
          without: 'select *',
          test: {
            file: 'functions/admin/used-signatures.test.ts',
            name: 'exactly one of 100 parallel replays is let through',
          },
        },
        {
          name: 'and at the authorization server',
          file: 'functions/auth/nonces.ts',
          text: 'return claimed === 1',
          without: 'return claimed >= 0',
          test: {
            file: authAttacks,
            name: 'of 100 parallel replays of a mutation exactly one is accepted, and none later',
          },
        },
        {
          name: 'neither old nor from the future',
          file: signature,
          text: 'if (Math.abs(terms.clock.nowMs() - signature.timestampMs) > ttlMs) return undefined',
          without: 'if (terms.clock.nowMs() - signature.timestampMs > ttlMs) return undefined',
          test: { file: signatureTests, name: 'refuses a signature' },
        },
        {
          name: 'one grammar: what is appended makes no new signature',
          file: hmac,
          text: '([0-9a-f]{64})$/',
          without: '([0-9a-f]{64})/',
          test: { file: signatureTests, name: 'refuses a signature' },
        },
        {
          name: "the digest is verified, with the tenant's own secret",
          file: signature,
          text: 'if (proven === undefined) return undefined',
          without:
            'if (proven === undefined) return { tenantId, isOperator: false, digest: signature.digest, expiresAt: new Date(signature.timestampMs + 2 * ttlMs) }',
          test: { file: authAttacks, name: "one tenant's secret, or the operator's, speaks for nobody else" },
        },
        {
          name: 'the operator is known by id and secret together',
          file: signature,
          text: 'isOperator: operatorSecrets.includes(proven)',
          without: 'isOperator: proven === terms.operator.apiSecret',
          test: {
            file: signatureTests,
            name: "does not take a tenant with the operator's secret for the operator",
          },
        },
        {
          name: 'what is signed is the canonical form',
          file: hmac,
          text: 'const canonical = canonicalize(body)',
          without: 'const canonical = (void canonicalize, JSON.stringify(body))',
          test: { file: signatureTests, name: 'accepts a body whose members come in another order' },
        },
        {
          name: 'nothing is carried out while the store of signatures is away',
          file: app,
          text: 'claim: signature.claim,',
          without: 'claim: (used) => signature.claim(used).catch(() => true),',
          test: { file: appTests, name: 'carries out nothing while signatures cannot be noted' },
        },
      ],
    },
    {
      name: 'Secrets in logs (A13)',
      guards: [
        {
          name: 'fields that hold secrets are struck out',
          file: 'shared/platform/log.ts',
          text: 'redact: { paths: redactedPaths,',
          without: 'redact: { paths: redactedPaths.slice(0, 0),',
          test: {
            file: 'shared/platform/log.test.ts',
            name: 'fields that hold secrets are struck out, three levels down',
          },
        },
      ],
    },
    {
      name: 'Secrets kept in clear (A14)',
      guards: [
        {
          name: 'what must be read again is sealed',
          file: 'shared/peers/store.ts',
          text: 'ctx.secretBox.seal(peer.outgoing.authToken, tokenPlace(peer.id))',
          without:
            'ctx.secretBox.seal(peer.outgoing.authToken, tokenPlace(peer.id)) + peer.outgoing.authToken',
          test: {
            file: 'cli/security-at-rest.test.ts',
            name: 'is no secret that anybody could use: hashes, and sealed texts',
          },
        },
        {
          name: 'tokens that we hold at others too',
          file: 'shared/grants-client/store.ts',
          text: 'const sealed = ctx.secretBox.seal(token.value, placeOf(key))',
          without: `const sealed = \`\${ctx.secretBox.seal(token.value, placeOf(key))}\`.concat(token.value)`,
          test: {
            file: 'shared/grants-client/client.test.ts',
            name: 'are sealed in the database, and another process uses them',
          },
        },
        {
          name: 'a sealed text opens in its own place only',
          file: 'shared/grants-client/store.ts',
          text: 'JSON.stringify([key.tenantId, key.authServer, key.type, key.actions])',
          without: 'typeof key',
          test: {
            file: 'shared/grants-client/client.test.ts',
            name: 'a row sealed for one place does not open in another',
          },
        },
      ],
    },
  ],
}
