import type { ThreatTable } from '../guard.ts'

const egress = 'shared/platform/egress.ts'
const http = 'shared/platform/egress-http.ts'
const tests = 'shared/platform/egress.test.ts'
const resolve = 'shared/platform/resolve-host.ts'
const resolving = 'shared/platform/resolve-host.test.ts'
const auth = 'functions/auth/attacks.test.ts'
const openPayments = 'functions/open-payments/attacks.test.ts'

/** What strangers may make this node fetch. */
export const egressThreats: ThreatTable = {
  title: 'Outbound requests (A3)',
  about:
    'Clients, wallet addresses, receivers and incoming payments are URLs that others write. `egress.test.ts` has more than 120 spellings of targets that are never fetched; the tests of both listeners try them from outside.',
  threats: [
    {
      name: 'Private addresses',
      guards: [
        {
          name: 'only public unicast is connected to',
          file: egress,
          text: "if (parsed.range() !== 'unicast') return false",
          without: '',
          test: { file: tests, name: 'targets that are never fetched' },
        },
        {
          name: 'of IPv6 only what has been assigned',
          file: egress,
          text: "return parsed.kind() === 'ipv4' || isPublicIpv6(parsed as ipaddr.IPv6)",
          without: 'return true',
          test: { file: tests, name: 'targets that are never fetched' },
        },
        {
          name: 'of a name every address is',
          file: http,
          text: 'if (addresses.some(isForbidden))',
          without: 'if (addresses.every(isForbidden))',
          test: {
            file: tests,
            name: 'names that resolve to forbidden addresses are refused, whichever of the addresses it is',
          },
        },
        {
          name: 'for clients of the authorization server',
          file: egress,
          text: 'const isAddressAllowed = (address: string) => isPublicAddress(address) || inNetworks(address)',
          without:
            'const isAddressAllowed = (address: string) => isPublicAddress(address) || address !== inNetworks.name',
          test: { file: auth, name: 'no address of ours, however it is written; nothing is connected to' },
        },
        {
          name: 'for receivers, incoming payments and clients of the resource server',
          file: egress,
          text: 'const isAddressAllowed = (address: string) => isPublicAddress(address) || inNetworks(address)',
          without:
            'const isAddressAllowed = (address: string) => isPublicAddress(address) || address !== inNetworks.name',
          test: {
            file: openPayments,
            name: 'no private address, as receiver, incoming payment, or client; nothing is connected to',
          },
        },
      ],
    },
    {
      name: 'Rebinding',
      guards: [
        {
          name: 'the socket goes where the check looked',
          file: http,
          text: '    lookup: guardedLookup(policy, resolve),\n',
          without: '',
          test: {
            file: tests,
            name: 'names that resolve to forbidden addresses are refused, whichever of the addresses it is',
          },
        },
      ],
    },
    {
      name: 'Redirects',
      guards: [
        {
          name: 'each hop is judged',
          file: http,
          text: 'url = policy.toFetch(location)',
          without: 'url = new URL(location)',
          test: { file: tests, name: 'each hop is judged' },
        },
        {
          name: 'there are so many and no more',
          file: http,
          text: 'if (hops >= hopsMax)',
          without: 'if (hops > 100)',
          test: { file: tests, name: 'are followed up to the limit' },
        },
        {
          name: 'none unless asked for',
          file: http,
          text: 'hopsMax > 0 ? locationOf(response, url) : undefined',
          without: 'locationOf(response, url)',
          test: { file: tests, name: 'are answers unless asked for' },
        },
        {
          name: 'never with a signature or a body',
          file: http,
          text: "hopsMax === 0 || (input.method === 'GET' && !isSigned(input.headers))",
          without: 'hopsMax >= 0',
          test: { file: tests, name: 'never for signed or changing requests' },
        },
      ],
    },
    {
      name: 'Schemes and forms; downgrade to http',
      guards: [
        {
          name: 'https only',
          file: egress,
          text: "if (url.protocol !== 'https:' && !(url.protocol === 'http:' && mayUseHttp(url)))",
          without: "if (url.protocol !== 'https:' && url.protocol !== 'http:')",
          test: { file: tests, name: 'what EGRESS_ALLOW exempts' },
        },
        {
          name: 'no user information',
          file: egress,
          text: "if (url.username !== '' || url.password !== '')",
          without: 'if (false)',
          test: { file: tests, name: 'what EGRESS_ALLOW exempts' },
        },
        {
          name: 'http only where the node is told to',
          file: egress,
          text: 'options.allowHttp && (isHostExempt(url.hostname) || inNetworks(bareHost(url.hostname)))',
          without: 'isHostExempt(url.hostname) || inNetworks(bareHost(url.hostname))',
          test: { file: auth, name: 'not over http, unless the node is told to' },
        },
        {
          name: 'no query and no fragment before the name of the key set',
          file: 'shared/http-signatures/client-keys.ts',
          text: 'if (!url || /[?#]/.test(walletAddressUrl))',
          without: 'if (!url)',
          test: { file: auth, name: 'nothing but the key set below the address' },
        },
      ],
    },
    {
      name: 'Large, slow and packed answers',
      guards: [
        {
          name: '64 KiB',
          file: http,
          text: 'responseSizeMax: Math.min(input.responseSizeMax ?? RESPONSE_SIZE_MAX, RESPONSE_SIZE_MAX),',
          without: '',
          test: { file: tests, name: 'oversize, announced or not' },
        },
        {
          name: 'one deadline for all hops',
          file: http,
          text: 'const timeoutMs = Math.ceil(deadline - performance.now())',
          without: 'const timeoutMs = deadline > 0 ? input.timeoutMs : 0',
          test: { file: tests, name: 'the deadline is one for all hops' },
        },
        {
          name: 'a body that drips is cut',
          file: 'shared/platform/http-client.ts',
          text: "giveUp(new Fault('request_timeout', { retryable: true, message }))",
          without: 'void message',
          test: { file: tests, name: 'a body that drips is cut at the deadline' },
        },
        {
          name: 'headers are bounded',
          file: http,
          text: 'maxHeaderSize: 16 * 1024,',
          without: 'maxHeaderSize: 16 * 1024 * 1024,',
          test: { file: tests, name: 'a header bomb is a failed connection' },
        },
      ],
    },
    {
      name: 'Names whose servers hang',
      guards: [
        {
          name: 'they hold no thread of the process',
          file: http,
          text: 'options.resolve ?? createHostResolver({ isOwn: policy.isHostExempt })',
          without:
            "options.resolve ?? ((name) => import('node:dns/promises').then((dns) => dns.lookup(name, { all: true })))",
          test: { file: resolving, name: 'the guarded client resolves so by itself' },
        },
        {
          name: 'nor is the system asked for them',
          file: resolve,
          text: 'if (options.isOwn(name) || isLocalhost(name) || (await inHostsFile(name)))',
          without: 'if (name !== inHostsFile.name)',
          test: { file: resolving, name: 'however many servers hang' },
        },
        {
          name: 'a look-up ends in time',
          file: resolve,
          text: 'timer = setTimeout(resolve, DEADLINE_MS, [])',
          without: 'timer = setTimeout(resolve, 60 * DEADLINE_MS, [])',
          test: { file: resolving, name: 'however many servers hang' },
        },
      ],
    },
  ],
}
