import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { least } from './base-values.ts'
import { chartValues, seedVariables } from './known-values.ts'
import { at, type Manifest, over, refusal, render, type Values, withoutHelm } from './render.ts'
import { dataOf, find } from './workloads.ts'

const skip = withoutHelm

/** What the processes of a side find in their environment. */
function environmentOf(manifests: readonly Manifest[], side: string) {
  const name = `ase-a-upesi-${side}`
  return {
    config: dataOf(find(manifests, 'ConfigMap', name)),
    secret: dataOf(find(manifests, 'Secret', name)),
  }
}

interface PageVariable {
  name: string
  side: 'backend' | 'auth'
  isRequired: boolean
  isSecret: boolean
}

/** docs/configuration.md says what is read, and what of it is secret. */
const pageVariables: readonly PageVariable[] = readFileSync(
  new URL('../../docs/configuration.md', import.meta.url),
  'utf8',
)
  .split(/^## /m)
  .flatMap((section) => {
    const [title = '', ...lines] = section.split('\n')
    if (!/^(functions\/(?!migrate)|connector)/.test(title)) return []
    const side = title === 'functions/auth' ? 'auth' : 'backend'
    return lines.flatMap((line): PageVariable[] => {
      const [, , variable = '', fallback = '', , secret = ''] = line.split(' | ').join('|').split('|')
      const [, name] = /^`(\w+)`$/.exec(variable.trim()) ?? []
      if (name === undefined) return []
      return [
        { name, side, isRequired: fallback.trim() === '**required**', isSecret: secret.trim() === 'yes' },
      ]
    })
  })

const settings = parse(readFileSync(new URL('upesi/files/settings.yaml', import.meta.url), 'utf8')) as Record<
  'backend' | 'auth',
  { config: Record<string, string[]>; secret: Record<string, { required?: boolean }>; required: string[] }
>

const whole = (values: readonly (readonly [string, string, unknown])[], more: Values = {}) =>
  render(over(least, ...values.map(([, path, value]) => at(path, value)), more))

describe('values', { skip }, () => {
  test('each of the 52 variables that operators know has a value that sets it', () => {
    assert.equal(new Set(seedVariables.map(([variable]) => variable)).size, 52)
    const pem = '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----\n'
    const manifests = whole(
      seedVariables,
      over(at('config.backend.key.pvk', pem), at('config.auth.authServerUrl', 'https://auth.other.example')),
    )
    const { config, secret } = environmentOf(manifests, 'backend')
    for (const [variable, path, value] of seedVariables)
      assert.equal(config[variable] ?? secret[variable], String(value), `${path} sets ${variable}`)
    assert.equal(dataOf(find(manifests, 'Secret', 'ase-a-upesi-backend-keys'))['pvk.pem'], pem)
  })

  test('every other value of the public chart sets its variable, also those that it never mapped', () => {
    const manifests = whole(chartValues, at('config.backend.auth.grantUrl', 'https://auth.other.example'))
    for (const [variable, path, value] of chartValues) {
      const [name = '', side = 'backend'] = variable.split(' ').reverse()
      const { config, secret } = environmentOf(manifests, side)
      assert.equal(config[name] ?? secret[name], String(value), `${path} sets ${variable}`)
    }
  })

  test('every variable of the configuration page can be set: plainly, or in the Secret when it is one', () => {
    assert.ok(pageVariables.length > 200)
    const setTo = ({ name }: PageVariable) => `set-${name.toLowerCase()}`
    const map = (side: string, isSecret: boolean) =>
      Object.fromEntries(
        pageVariables
          .filter((variable) => variable.side === side && variable.isSecret === isSecret)
          .map((variable) => [variable.name, setTo(variable)]),
      )
    // What decides what runs has a meaning for the chart as well.
    const decided = {
      ENABLE_AUTO_PEERING: 'true',
      QUEUE_DRIVER: 'postgres',
      ENABLE_MANUAL_MIGRATIONS: 'true',
      USE_TIGERBEETLE: 'false',
      OPERATOR_TENANT_ID: 'one',
    }
    const ports = (side: string) =>
      Object.fromEntries(
        Object.keys(map(side, false))
          .filter((name) => name.endsWith('_PORT'))
          .map((name, index) => [name, String(6000 + index)]),
      )
    const same = { ADMIN_API_SECRET: 'the-same', AUTH_SERVICE_API_SECRET: 'the-same' }
    const sideOf = (side: string) => ({
      env: { ...map(side, false), ...ports(side), ...pick(decided, Object.keys(map(side, false))) },
      secretEnv: { ...map(side, true), ...pick(same, Object.keys(map(side, true))) },
    })
    const values = { config: { backend: sideOf('backend'), auth: sideOf('auth') } }
    const bare = over(least, { config: { backend: null, auth: null } })
    const manifests = render(over(bare, values, at('config.backend.port.connectorRpc', 3012)))
    for (const variable of pageVariables) {
      const { name, side, isSecret } = variable
      const { config, secret } = environmentOf(manifests, side)
      const set = values.config[side][isSecret ? 'secretEnv' : 'env'] as Record<string, string>
      assert.equal((isSecret ? secret : config)[name], set[name], `${side} ${name}`)
      assert.equal((isSecret ? config : secret)[name], undefined, `${side} ${name} stands in both`)
    }
  })

  test('the chart knows what is secret and what is required as the processes do', () => {
    for (const side of ['backend', 'auth'] as const) {
      const { config, secret, required } = settings[side]
      const ofPage = pageVariables.filter((variable) => variable.side === side)
      const names = (of: (variable: PageVariable) => boolean) =>
        new Set(ofPage.filter(of).map(({ name }) => name))
      const secrets = names(({ isSecret }) => isSecret)
      assert.deepEqual(
        Object.keys(config).filter((name) => secrets.has(name)),
        [],
      )
      assert.deepEqual(
        [...secrets].filter((name) => !(name in secret)),
        [],
        'a secret without a place in the chart',
      )
      // What the chart works out itself need not be said.
      const derived = ['AUTH_SERVER_INTROSPECTION_URL', 'AUTH_SERVICE_API_URL']
      const told = new Set([
        ...required,
        ...Object.keys(secret).filter((name) => secret[name]?.required),
        ...derived,
      ])
      assert.deepEqual(
        [...names(({ isRequired }) => isRequired)].filter((name) => !told.has(name)),
        [],
      )
    }
  })

  test('what is required and missing is said all at once, with the values that set it', () => {
    const said = refusal({})
    for (const side of ['backend', 'auth'] as const) {
      const { secret, required } = settings[side]
      for (const name of [...required, ...Object.keys(secret).filter((each) => secret[each]?.required)])
        assert.match(said, new RegExp(`- ${name} is missing: set config\\.`), name)
    }
  })

  test('examples of the public chart are no values', () => {
    for (const [path, value] of [
      ['config.auth.cookieKey.value', 'changeme'],
      ['config.backend.admin.apiSecret.value', 'changeme-something-secret'],
      ['config.backend.tenancy.tenantId', 'some-guid'],
      ['config.backend.key.id', 'rafiki-override-this-value'],
      ['config.backend.instanceName', 'rafiki-backend-changeme'],
    ] as const) {
      const said = refusal(over(least, at(path, value)))
      assert.match(said, /is still an example's value/, path)
      if (path.includes('Secret') || path.includes('cookie'))
        assert.doesNotMatch(said, /example's value: changeme/)
    }
  })

  test('nothing is set by an empty value, and large and small numbers are written out', () => {
    const { config } = environmentOf(
      render(
        over(
          least,
          at('config.backend.ilp.slippage', ''),
          at('config.backend.slippage', 0.0000125),
          at('config.backend.lifetime.quote', 86_400_000_000),
          at('config.backend.logLevel', null),
        ),
      ),
      'backend',
    )
    assert.equal(config.SLIPPAGE, '0.0000125')
    assert.equal(config.QUOTE_LIFESPAN, '86400000000')
    assert.ok(!('LOG_LEVEL' in config))
    for (const [name, text] of Object.entries(config)) assert.notEqual(text, '', name)
  })

  test('a contentMap sets variables by value and by valueRef, and wins over named values', () => {
    const manifests = render(
      over(least, {
        configMaps: {
          backend: {
            contentMap: [
              { key: 'LOG_LEVEL', valueRef: 'config.backend.mine.level' },
              { key: 'SLIPPAGE', valueRef: 'config.backend.slippage' },
              { key: 'PEER_PACKETS_PER_MINUTE', value: 1200 },
              { key: 'EXCHANGE_RATES_URL', value: 'http://rates' },
            ],
          },
        },
        secretsMaps: { backend: { contentMap: [{ key: 'SIGNATURE_SECRET_PREVIOUS', value: 'before' }] } },
        config: {
          backend: { mine: { level: 'trace' }, ilp: { slippage: 0.02 }, rates: { url: 'http://other' } },
        },
      }),
    )
    const { config, secret } = environmentOf(manifests, 'backend')
    assert.equal(config.LOG_LEVEL, 'trace')
    // A reference to nothing is no value.
    assert.equal(config.SLIPPAGE, '0.02')
    assert.equal(config.PEER_PACKETS_PER_MINUTE, '1200')
    assert.equal(config.EXCHANGE_RATES_URL, 'http://rates')
    assert.equal(secret.SIGNATURE_SECRET_PREVIOUS, 'before')
  })

  test('values of a wrong type are refused before anything is rendered', () => {
    for (const [path, value, name] of [
      ['mode', 'lambda', 'mode'],
      ['config.backend.trustProxy', 'yes', 'trustProxy'],
      ['config.backend.port.admin', 'http', 'admin'],
      ['config.backend.webhook.url', 'wallet', 'url'],
      ['deployments.backend.replicaCount', '2', 'replicaCount'],
      ['queue.driver', 'kafka', 'driver'],
      ['config.backend.env', { 'a b': 'x' }, 'a b'],
    ] as const)
      assert.match(refusal(over(least, at(path, value))), new RegExp(`values don't meet[^]*${name}`), path)
  })
})

function pick(from: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)))
}
