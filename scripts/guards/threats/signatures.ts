import type { ThreatTable } from '../guard.ts'

const room = 'shared/http-signatures'
const attacks = `${room}/attacks.test.ts`
const signatures = `${room}/signatures.test.ts`
const clientKeys = `${room}/client-keys.test.ts`
const verify = `${room}/verify-request.ts`
const authenticate = `${room}/authenticate-request.ts`

/** What every signed request passes, at the resource server and at the authorization server alike. */
export const signatureThreats: ThreatTable = {
  title: 'Signed requests',
  about:
    'The profile of RFC 9421 that both public listeners share. RFC 9635 §11 names the threats; the published Ed25519 vectors (RFC 9421 B.2.6 and B.4) and our own are in `shared/http-signatures/rfc9421.test.ts` and `signatures.test.ts`.',
  threats: [
    {
      name: 'Key proof replay (A4)',
      guards: [
        {
          name: 'a signature is fresh',
          file: verify,
          text: 'if (Math.abs(seconds - parsed.created) > windowSeconds)',
          without: 'if (false)',
          test: { file: attacks, name: 'the same bytes are good for minutes, not for longer' },
        },
        {
          name: 'a nonce is spent once',
          file: authenticate,
          text: "throw new SignatureRefusal('nonce_reused', { message: 'the nonce was used before' })",
          without: 'void 0',
          test: { file: attacks, name: 'bytes with a nonce are good once' },
        },
        {
          name: 'a nonce belongs to a key',
          file: authenticate,
          text: 'jwkThumbprint(jwk)',
          without: 'undefined',
          test: { file: attacks, name: 'bytes with a nonce are good once' },
        },
      ],
    },
    {
      name: 'Clock skew',
      guards: [
        {
          name: 'the window ends exactly where it should',
          file: verify,
          text: 'Math.abs(seconds - parsed.created) > windowSeconds',
          without: 'Math.abs(seconds - parsed.created) > windowSeconds + 1',
          test: { file: signatures, name: 's away is refused' },
        },
        {
          name: 'and on both sides',
          file: verify,
          text: 'Math.abs(seconds - parsed.created)',
          without: '(seconds - parsed.created)',
          test: { file: signatures, name: 's away is refused' },
        },
        {
          name: 'a time must be named',
          file: verify,
          text: 'if (parsed.created === undefined)',
          without: 'if (parsed.created === undefined) return\n  if (parsed.created === undefined)',
          test: {
            file: attacks,
            name: 'a signature without a time, or with one that is over, proves nothing',
          },
        },
        {
          name: 'an expiry is kept',
          file: verify,
          text: 'if (parsed.expires !== undefined && seconds > parsed.expires)',
          without: 'if (false)',
          test: { file: signatures, name: 'expires is the last good second' },
        },
      ],
    },
    {
      name: 'Body stripping (A5)',
      guards: [
        {
          name: 'a body must be covered',
          file: verify,
          text: "if (body.length > 0) mustCover('content-digest')",
          without: '',
          test: {
            file: attacks,
            name: 'one signature without digest does not go with two bodies, nor with any',
          },
        },
        {
          name: 'a covered digest must be right',
          file: verify,
          text: "checkContentDigest(headerValue(request.headers, 'content-digest') ?? '', body)",
          without: '',
          test: { file: attacks, name: 'a signed digest of a body that is not there' },
        },
        {
          name: 'all known digests must be right',
          file: `${room}/content-digest.ts`,
          text: 'return digests.every(',
          without: 'return digests.some(',
          test: { file: signatures, name: 'one of two wrong' },
        },
        {
          name: 'unknown digests are no digests',
          file: `${room}/content-digest.ts`,
          text: 'if (digests.length === 0)',
          without: 'if (false)',
          test: { file: signatures, name: 'only unknown' },
        },
        {
          name: 'one algorithm comes once',
          file: `${room}/structured-fields.ts`,
          text: 'value === undefined || members.has(key)',
          without: 'value === undefined',
          test: { file: attacks, name: 'a digest that is sent in two lines is one header' },
        },
        {
          name: 'the token must be covered',
          file: verify,
          text: "mustCover('authorization')",
          without: 'undefined',
          test: { file: signatures, name: 'another key, another key id, another message' },
        },
        {
          name: 'the method must be covered',
          file: verify,
          text: "mustCover('@method')",
          without: '',
          test: { file: attacks, name: 'method and URL must be covered' },
        },
        {
          name: 'the URL must be covered',
          file: verify,
          text: "mustCover('@target-uri')",
          without: '',
          test: { file: attacks, name: 'method and URL must be covered' },
        },
      ],
    },
    {
      name: 'What is signed and what is used differ (A6)',
      guards: [
        {
          name: 'bytes, or the compact form of what they mean',
          file: `${room}/content-digest.ts`,
          text: 'if (compact === undefined || !matches(digests, compact))',
          without: 'if (compact === undefined)',
          test: {
            file: attacks,
            name: 'the bytes count; for clients that hash the compact form, what the bytes mean',
          },
        },
      ],
    },
    {
      name: 'Algorithm confusion',
      guards: [
        {
          name: 'only ed25519 is understood',
          file: verify,
          text: "if (parsed.algorithm !== undefined && parsed.algorithm !== 'ed25519')",
          without: 'if (false)',
          test: { file: attacks, name: 'a right signature that calls itself' },
        },
        {
          name: 'a key is OKP, Ed25519, EdDSA',
          file: `${room}/jwk.ts`,
          text: "if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519' || jwk.alg !== 'EdDSA')",
          without: 'if (false)',
          test: { file: signatures, name: 'is no key' },
        },
        {
          name: 'a key for encryption does not sign',
          file: `${room}/jwk.ts`,
          text: "if (jwk.use !== undefined && jwk.use !== 'sig')",
          without: 'if (false)',
          test: { file: signatures, name: 'is no key' },
        },
        {
          name: 'a private key is not taken',
          file: `${room}/jwk.ts`,
          text: 'if (jwk.d !== undefined)',
          without: 'if (false)',
          test: { file: signatures, name: 'is no key' },
        },
        {
          name: 'the signature is verified at all',
          file: verify,
          text: 'if (s >= L || !verify(',
          without: 'if (s >= L || undefined === verify(',
          test: { file: signatures, name: 'another key, another key id, another message' },
        },
      ],
    },
    {
      name: 'Weak keys',
      guards: [
        {
          name: 'no points of small order',
          file: `${room}/jwk.ts`,
          text: "if (SMALL_ORDER_Y.has(y)) throw refuse('x must not be a point of small order')",
          without: '',
          test: {
            file: attacks,
            name: 'is refused where a wallet publishes it and where a client brings it',
          },
        },
        {
          name: 'no second encodings of a point',
          file: `${room}/jwk.ts`,
          text: "if (y >= P) throw refuse('x must be a canonical point')",
          without: '',
          test: {
            file: attacks,
            name: 'is refused where a wallet publishes it and where a client brings it',
          },
        },
      ],
    },
    {
      name: 'Downgrade',
      guards: [
        {
          name: 'SHA-1 and MD5 are unknown',
          file: `${room}/content-digest.ts`,
          text: "{ 'sha-256': 'sha256', 'sha-512': 'sha512' }",
          without: "{ 'sha-256': 'sha256', 'sha-512': 'sha512', sha: 'sha1', md5: 'md5' }",
          test: { file: attacks, name: 'digest' },
        },
        {
          name: 'of several signatures sig1 counts',
          file: `${room}/signature-input.ts`,
          text: "if (inputs.has('sig1')) return 'sig1'",
          without: "if (inputs.has('sig2')) return 'sig2'",
          test: {
            file: attacks,
            name: 'of two signatures the one that counts must be right, whatever the other is',
          },
        },
      ],
    },
    {
      name: 'Key revocation and rotation',
      guards: [
        {
          name: 'keys are remembered for a minute, not longer',
          file: `${room}/client-keys.ts`,
          text: 'nowMs - known.fetchedAtMs < lifeMs',
          without: 'known.fetchedAtMs > 0',
          test: {
            file: attacks,
            name: 'is good for a minute at most, and for the next request when it was not known',
          },
        },
        {
          name: 'also when the wallet does not answer',
          file: `${room}/client-keys.ts`,
          text: 'loaded.fetchedAtMs - previous.fetchedAtMs < lifeMs',
          without: 'true',
          test: {
            file: clientKeys,
            name: 'a revoked one dies with its minute, even when the wallet does not answer',
          },
        },
        {
          name: 'the key must bear the name that the signature says',
          file: authenticate,
          text: 'if (client.jwk.kid !== checked.keyId)',
          without: 'if (false)',
          test: {
            file: clientKeys,
            name: 'by a key of its own, which must bear the name that the signature says',
          },
        },
      ],
    },
    {
      name: 'Pre-authentication amplification (A16)',
      guards: [
        {
          name: 'nothing is fetched before what needs no key is right',
          file: authenticate,
          text: 'const checked = checkRequest(request, { now: ctx.clock.now(), windowSeconds: ctx.windowSeconds })\n    const jwk = await verifyWith(',
          without:
            "if ('walletAddress' in client) await ctx.keys.get(client.walletAddress, 'x').catch(() => undefined)\n    const checked = checkRequest(request, { now: ctx.clock.now(), windowSeconds: ctx.windowSeconds })\n    const jwk = await verifyWith(",
          test: { file: clientKeys, name: 'nothing is fetched for a request that is wrong without a key' },
        },
        {
          name: 'what failed is not tried again at once',
          file: `${room}/client-keys.ts`,
          text: 'nowMs - known.triedAtMs < REFETCH_MS)',
          without: 'nowMs - known.triedAtMs < 0)',
          test: { file: clientKeys, name: 'failures are remembered 2 s' },
        },
        {
          name: 'unproven requests are limited per source',
          file: authenticate,
          text: "if (error instanceof SignatureRefusal && error.code !== 'too_many_attempts')\n      ctx.limiter.take(request.source)",
          without: '',
          test: { file: clientKeys, name: 'unproven work is limited per source, proven work is not' },
        },
        {
          name: 'fetches of keys too',
          file: authenticate,
          text: 'const onFetch = () => ctx.limiter.take(source)',
          without: 'const onFetch = () => undefined',
          test: { file: clientKeys, name: 'unproven work is limited per source, proven work is not' },
        },
        {
          name: 'addresses of one IPv6 network are one source',
          file: authenticate,
          text: 'const network = networkOf(source)',
          without: 'const network = source',
          test: { file: `${room}/source-network.test.ts`, name: 'whoever has an IPv6 network is one source' },
        },
        {
          name: 'the memory of keys is bounded',
          file: `${room}/client-keys.ts`,
          text: 'if (oldest && !oldest.done) entries.delete(oldest.value)',
          without: 'void oldest',
          test: { file: clientKeys, name: 'no more wallets are remembered than allowed' },
        },
      ],
    },
    {
      name: 'Exhaustion by headers',
      guards: [
        {
          name: 'blanks are trimmed in one pass',
          file: `${room}/structured-fields.ts`,
          text: 'const member = trimmed(text.slice(start, end))',
          without: "const member = text.slice(start, end).replace(/^[ \\t]+|[ \\t]+$/g, '')",
          test: { file: attacks, name: '60,000 blanks' },
        },
        {
          name: 'components are counted',
          file: `${room}/signature-input.ts`,
          text: "if (items.length > COMPONENTS_MAX) throw malformed('too many covered components')",
          without: '',
          test: { file: signatures, name: '100 components' },
        },
      ],
    },
    {
      name: 'Host spoofing, absolute-form targets, X-Forwarded-*',
      guards: [
        {
          name: 'the host must be ours',
          file: `${room}/target-uri.ts`,
          text: "if (!options.publicHosts.has(bare)) throw invalid('the host is not one of ours')",
          without: '',
          test: { file: signatures, name: 'what is not ours is refused' },
        },
        {
          name: 'the target is a path',
          file: `${room}/target-uri.ts`,
          text: "if (!request.url.startsWith('/')) throw invalid('the request target must be a path')",
          without: '',
          test: { file: signatures, name: 'what is not ours is refused' },
        },
        {
          name: 'forwarded headers count only when trusted',
          file: `${room}/target-uri.ts`,
          text: 'options.trustProxy ? firstOf(headerValue(request.headers, name)) : undefined',
          without: 'firstOf(headerValue(request.headers, name))',
          test: { file: signatures, name: 'forwarded headers count only when trusted' },
        },
      ],
    },
  ],
}
