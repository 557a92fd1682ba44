import dns, { type Resolver } from 'node:dns/promises'
import { readFile, stat } from 'node:fs/promises'

export interface HostAddress {
  address: string
  family: number
}

export interface HostResolverOptions {
  /** Names that the operator chose: the system resolves them, with its search domains and whatever else it knows. */
  isOwn: (hostname: string) => boolean
  /** DNS servers for all other names, `address` or `address:port`. Default: the system's. */
  servers?: readonly string[]
}

const HOSTS_FILE = '/etc/hosts'
/** Of one name, whatever its servers do. */
const DEADLINE_MS = 3_000
const ATTEMPT_MS = 1_000
const ATTEMPTS = 3
/** The system's servers may change while the process runs. */
const RESOLVER_LIFE_MS = 60_000

const isLocalhost = (name: string) => name === 'localhost' || name.endsWith('.localhost')
const bare = (hostname: string) => hostname.toLowerCase().replace(/\.$/, '')

/**
 * Resolves names that strangers choose. The system's resolver holds one of the process's few threads for as long as a name's servers
 * hang, and file system and cryptography wait behind them. So these names are asked for over sockets, with a time limit; only what the
 * operator named, itself or in the hosts file, and `localhost`, go to the system.
 */
export function createHostResolver(
  options: HostResolverOptions,
): (hostname: string) => Promise<HostAddress[]> {
  const inHostsFile = createHostsFile()
  let resolver: Resolver | undefined
  let renewAtMs = 0

  const resolverOfNow = (): Resolver => {
    const nowMs = performance.now()
    if (resolver && nowMs < renewAtMs) return resolver
    resolver = new dns.Resolver({ timeout: ATTEMPT_MS, tries: ATTEMPTS, maxTimeout: ATTEMPT_MS })
    if (options.servers) resolver.setServers(options.servers)
    renewAtMs = nowMs + RESOLVER_LIFE_MS
    return resolver
  }

  return async (hostname) => {
    const name = bare(hostname)
    if (options.isOwn(name) || isLocalhost(name) || (await inHostsFile(name)))
      return await dns.lookup(hostname, { all: true, verbatim: true })
    return await askServers(resolverOfNow(), name)
  }
}

/** Addresses of both kinds. Where one kind fails, the other will do. */
async function askServers(resolver: Resolver, name: string): Promise<HostAddress[]> {
  const found: HostAddress[] = []
  const ask = async (answer: Promise<string[]>, family: number) => {
    for (const address of await answer) found.push({ address, family })
  }
  const asked = [ask(resolver.resolve4(name), 4), ask(resolver.resolve6(name), 6)]
  const [first] = await settledInTime(asked)
  if (found.length > 0) return found.toSorted((a, b) => a.family - b.family)
  if (first?.status === 'rejected') throw first.reason
  throw new Error(`the servers of ${name} do not answer`)
}

async function settledInTime(work: Promise<void>[]): Promise<PromiseSettledResult<void>[]> {
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<[]>((resolve) => {
    timer = setTimeout(resolve, DEADLINE_MS, [])
  })
  try {
    return await Promise.race([Promise.allSettled(work), overdue])
  } finally {
    clearTimeout(timer)
  }
}

/** Whether the hosts file names a host, as the file is now. */
function createHostsFile(): (name: string) => Promise<boolean> {
  let names = new Set<string>()
  let readOf: number | undefined
  return async (name) => {
    try {
      const { mtimeMs } = await stat(HOSTS_FILE)
      if (mtimeMs !== readOf) names = namesIn(await readFile(HOSTS_FILE, 'utf8'))
      readOf = mtimeMs
    } catch {
      // There need be none.
      names = new Set()
      readOf = undefined
    }
    return names.has(name)
  }
}

/** hosts(5): an address, then its names; `#` begins a comment. */
export const namesIn = (hostsFile: string): Set<string> =>
  new Set(
    hostsFile
      .split('\n')
      .flatMap((line) => (line.split('#')[0] ?? '').trim().split(/\s+/).slice(1))
      .map(bare),
  )
