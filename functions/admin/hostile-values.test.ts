import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  type GraphQLInputType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from 'graphql'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase, startTestHttpServer, type TestHttpServer } from '../../shared/testing/index.ts'
import { rootFields, startTestAdmin, type TestAdmin } from './harness.ts'

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })
const endless = randomBytes(20_000).toString('hex')

const hostileTexts = [
  '',
  'a\u0000b',
  "'; drop table assets; --",
  endless,
  `https://localhost:1/${endless}/incoming-payments/${uuidv7()}`,
  'https://localhost:1/%zz',
  uuidv7(),
  '+275760-09-13T00:00:00.000Z',
]
const hostileNumbers = ['0', '18446744073709551615', '18446744073709551616', '-1', 1e300, 1.5, 2 ** 31, 256]
const hostileObjects = [
  nested(400),
  { '\u0000': '\u0000' },
  JSON.parse('{"__proto__":{"x":1}}'),
  [],
  { a: 1e308 },
]

function hostileLeaves(type: GraphQLInputType): readonly unknown[] {
  switch (String(type)) {
    case 'UInt64':
    case 'UInt8':
    case 'Int':
      return hostileNumbers
    case 'JSONObject':
      return hostileObjects
    default:
      return hostileTexts
  }
}

/** A value that makes sense, or at least has the right form. */
function plain(type: GraphQLInputType, name: string, known: Record<string, unknown>): unknown {
  if (isNonNullType(type)) return plain(type.ofType, name, known)
  if (isListType(type)) return [plain(type.ofType, name, known)]
  if (isEnumType(type)) return type.getValues()[0]?.name
  if (isInputObjectType(type))
    return Object.fromEntries(
      Object.values(type.getFields())
        .filter(isRequiredInputField)
        .map((field) => [field.name, plain(field.type, field.name, known)]),
    )
  if (hostileLeaves(type) !== hostileTexts) return 1
  return known[name] ?? uuidv7()
}

/** The plain value again and again, each time with one hostile leaf. */
function* spoiled(type: GraphQLInputType, name: string, known: Record<string, unknown>): Generator<unknown> {
  if (isNonNullType(type)) yield* spoiled(type.ofType, name, known)
  else if (isListType(type)) for (const value of spoiled(type.ofType, name, known)) yield [value]
  else if (isInputObjectType(type)) {
    for (const field of Object.values(type.getFields()))
      for (const value of spoiled(field.type, field.name, known)) {
        const whole = plain(type, name, known) as Record<string, unknown>
        yield { ...whole, [field.name]: value }
      }
  } else yield* hostileLeaves(type)
}

describe('hostile values in the Admin API', () => {
  let auth: TestHttpServer
  let admin: TestAdmin
  let known: Record<string, unknown>
  before(async () => {
    auth = await startTestHttpServer(() => ({ status: 204 }))
    admin = await startTestAdmin(await createTestDatabase('resources'), { AUTH_SERVICE_API_URL: auth.url })
    const { asset } = (await admin.succeed(admin.operator, 'createAsset', {
      input: { code: 'USD', scale: 2 },
    })) as { asset: { id: string } }
    const address = `${admin.operator.prefix}/alice`
    const { walletAddress } = (await admin.succeed(admin.operator, 'createWalletAddress', {
      input: { assetId: asset.id, address },
    })) as { walletAddress: { id: string } }
    known = {
      assetId: asset.id,
      walletAddressId: walletAddress.id,
      walletAddressUrl: address,
      address: `${address}/more`,
      staticIlpAddress: 'test.peer',
      endpoint: 'https://peer.example',
      assetCode: 'USD',
      code: 'KES',
    }
  })
  after(async () => {
    await admin.close()
    await auth.close()
  })

  it('are refused or taken, in every argument of every field; never an internal error', async () => {
    let count = 0
    const attempt = async (name: string, args: Record<string, unknown>) => {
      const { status, errors } = await admin.call(admin.operator, name, args)
      count++
      const where = `${name} ${JSON.stringify(args).slice(0, 200)}: ${status} ${JSON.stringify(errors)}`
      assert.ok(status === 200 || status === 400, where)
      // The one that depends on others: a receiver's node that does not answer.
      for (const { extensions } of errors ?? [])
        if (extensions.reason !== 'receiver_unreachable')
          assert.notEqual(extensions.code, 'INTERNAL_SERVER_ERROR', where)
    }
    for (const [name, field] of Object.entries(rootFields(admin.schema))) {
      const required = field.args.filter((arg) => isNonNullType(arg.type))
      const others = Object.fromEntries(required.map((arg) => [arg.name, plain(arg.type, arg.name, known)]))
      for (const arg of field.args)
        await Promise.all(
          [...spoiled(arg.type, arg.name, known)].map((value) =>
            attempt(name, { ...others, [arg.name]: value }),
          ),
        )
    }
    assert.ok(count > 1_000, `only ${count} calls`)
  })
})
