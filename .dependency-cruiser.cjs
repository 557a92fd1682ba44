// The dependency law (docs/architecture.md): functions and connector stand on shared and never on each other; inside shared
// only downward; no cycles, type imports included.
const rooms = [
  ['node-context', 'aws-lambda'],
  ['outgoing-payments'],
  ['quotes'],
  ['payment-methods'],
  ['receivers'],
  ['incoming-payments'],
  ['wallet-addresses'],
  ['peers'],
  ['assets'],
  ['tenants'],
  [
    'ledger',
    'webhooks',
    'queue',
    'schedule',
    'http-signatures',
    'openapi',
    'grants-client',
    'connector-client',
    'stream-credentials',
    'grant-limits',
    'graphql-server',
    'auth-service-client',
  ],
  ['telemetry'],
  ['money'],
  ['platform'],
]
// Sideways imports that are allowed within a level.
const sideways = { webhooks: ['queue'], 'grants-client': ['http-signatures'], ledger: ['connector-client'] }

const path = (names) => `^shared/(${names.join('|')})/`
const roomRules = rooms.flatMap((level, index) =>
  level.map((room) => {
    const above = rooms.slice(0, index).flat()
    const beside = level.filter((other) => other !== room && !(sideways[room] ?? []).includes(other))
    const forbidden = [...above, ...beside]
    return {
      name: `shared-${room}-imports-downward`,
      severity: 'error',
      from: { path: path([room]), pathNot: '\\.(test|bench)\\.ts$' },
      to: { path: forbidden.length > 0 ? path(forbidden) : '^$' },
    }
  }),
)
// What `npm start` and tests need of the machine that they run on; nothing that is deployed uses it.
const machineRooms = ['embedded-postgres', 'loopback-ports']
const groups = ['admin', 'open-payments', 'auth', 'auto-peering', 'webhooks', 'payments', 'relay', 'migrate']

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'shared-imports-only-shared',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(functions|connector|cli|examples|scripts)/' },
    },
    {
      name: 'connector-imports-only-shared',
      severity: 'error',
      from: { path: '^connector/' },
      to: { path: '^(functions|cli|examples|scripts)/' },
    },
    {
      name: 'functions-import-only-shared',
      severity: 'error',
      from: { path: '^functions/' },
      to: { path: '^(connector|cli|examples|scripts)/' },
    },
    ...groups.map((group) => ({
      name: `functions-${group}-stands-alone`,
      severity: 'error',
      from: { path: `^functions/${group}/` },
      to: { path: `^functions/(?!${group}/)` },
    })),
    { name: 'nothing-imports-cli', severity: 'error', from: { pathNot: '^cli/' }, to: { path: '^cli/' } },
    {
      name: 'only-tests-import-testing',
      severity: 'error',
      from: { pathNot: '(\\.(test|bench)\\.ts$|/contract(-world)?\\.ts$|^shared/testing/|^cli/)' },
      to: { path: '^shared/testing/' },
    },
    ...machineRooms.flatMap((room) => [
      {
        name: `${room}-is-for-cli-and-testing`,
        severity: 'error',
        from: {
          pathNot: `(^(cli|shared/testing|shared/${room}|scripts)/|\\.(test|bench)\\.ts$|/harness\\.ts$)`,
        },
        to: { path: `^shared/${room}/` },
      },
      {
        name: `${room}-imports-platform`,
        severity: 'error',
        from: { path: `^shared/${room}/` },
        to: { path: `^shared/(?!${room}/|platform/)` },
      },
    ]),
    {
      name: 'rooms-through-their-face',
      comment: 'Other rooms import index.ts only',
      severity: 'error',
      from: { path: '^shared/([^/]+)/', pathNot: '(\\.(test|bench)\\.ts$|^shared/testing/)' },
      to: { path: '^shared/[^/]+/', pathNot: ['^shared/$1/', '^shared/[^/]+/index\\.ts$'] },
    },
    {
      name: 'deployables-use-faces',
      severity: 'error',
      from: {
        path: '^(functions|connector|cli|examples)/',
        pathNot: '(\\.(test|bench)\\.ts$|^cli/testing/)',
      },
      to: { path: '^shared/[^/]+/', pathNot: '^shared/[^/]+/index\\.ts$' },
    },
    {
      name: 'no-room-imports-its-own-face',
      severity: 'error',
      from: { path: '^shared/([^/]+)/', pathNot: '\\.(test|bench)\\.ts$' },
      to: { path: '^shared/$1/index\\.ts$' },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...roomRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
}
