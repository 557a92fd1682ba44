import type { ThreatTable } from '../guard.ts'

const instanceKeys = 'shared/node-context/instance-keys.ts'
const instanceKeyTests = 'shared/node-context/instance-keys.test.ts'
const sealedColumns = 'shared/platform/sealed-columns.ts'
const secretBox = 'shared/platform/secret-box.ts'
const resealTests = 'cli/reseal.test.ts'

/** What the node holds, and that it stays good while it changes. */
export const keyThreats: ThreatTable = {
  title: 'Keys and configuration',
  about:
    'The node’s own keys, secrets at rest while their key changes, and connections that must not be given up.',
  threats: [
    {
      name: 'A19: a key file that cannot be read',
      guards: [
        {
          name: 'stops the start',
          file: instanceKeys,
          text: 'key = createPrivateKey(await readFile(file))',
          without:
            'key = await readFile(file).then(createPrivateKey, () => generateKeyPairSync("ed25519").privateKey)',
          test: { file: instanceKeyTests, name: 'A19' },
        },
        {
          name: 'of another kind, too',
          file: instanceKeys,
          text: "if (key.asymmetricKeyType !== 'ed25519') throw refuse('must be an Ed25519 key')",
          without: '',
          test: { file: instanceKeyTests, name: 'A19' },
        },
      ],
    },
    {
      name: 'A20: Redis over TLS',
      guards: [
        {
          name: 'the certificate is verified, whatever files are given',
          file: 'shared/platform/redis.ts',
          text: 'rejectUnauthorized: true',
          without: 'rejectUnauthorized: false',
          test: { file: 'shared/platform/redis-tls.test.ts', name: 'a server of another CA is not' },
        },
      ],
    },
    {
      name: 'A signing key that changes',
      guards: [
        {
          name: 'is published before it signs',
          file: instanceKeys,
          text: 'key.isOwn && key.activeFromMs <= nowMs &&',
          without: 'key.isOwn &&',
          test: { file: instanceKeyTests, name: 'is never used before somebody' },
        },
        {
          name: 'ends, and is not published for ever',
          file: instanceKeys,
          text: 'keys.filter((key) => key.publishedUntilMs > ctx.clock.nowMs()).map(',
          without: 'keys.map(',
          test: { file: instanceKeyTests, name: 'with no overlap is used at once' },
        },
      ],
    },
    {
      name: 'A key of secrets at rest that changes',
      guards: [
        {
          name: 'a start without a key that is in use is refused',
          file: sealedColumns,
          text: 'if (missing.length > 0)',
          without: 'if (missing.length < 0)',
          test: { file: resealTests, name: 'a start with the old one alone is refused' },
        },
        {
          name: 'and one that only a change of keys has used so far is in use',
          file: sealedColumns,
          text: '  await noteKey(db, secretBox)\n  const results',
          without: '  const results',
          test: { file: resealTests, name: 'it is noted also where no process has started' },
        },
        {
          name: 'a sealed text with a short tag, which can be guessed, does not open',
          file: secretBox,
          text: 'authTagLength: TAG_BYTES',
          without: '',
          test: { file: 'shared/platform/secret-box.test.ts', name: 'takes no shorter tag' },
        },
        {
          name: 'other keys are forgotten only when nothing is left under them',
          file: sealedColumns,
          text: 'if (left === 0)',
          without: 'if (left >= 0)',
          test: { file: resealTests, name: 'a text that nobody can read is named' },
        },
        {
          name: 'what somebody wrote meanwhile is not overwritten',
          file: sealedColumns,
          text: '} = s.old`',
          without: '} is not null`',
          test: { file: resealTests, name: 'what is written between reading and writing stays' },
        },
        {
          name: 'a sealed text opens in its place only',
          file: secretBox,
          text: 'decipher.setAAD(Buffer.from(context))',
          without: "decipher.setAAD(Buffer.from('here'))",
          test: { file: 'shared/platform/secret-box.test.ts', name: 'a sealed text opens unchanged' },
        },
      ],
    },
  ],
}
