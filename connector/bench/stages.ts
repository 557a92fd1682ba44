import { type Profiler, Session } from 'node:inspector/promises'

/** Which part of the way of a packet a source file belongs to; the first that matches. */
const stages: readonly (readonly [stage: string, files: RegExp])[] = [
  ['ledger, with its driver', /shared\/ledger\/|node_modules\/pg/],
  ['HTTP to the next hop', /connector\/http\/(peer-|answer-|chunked-)|node_modules\/undici/],
  ['HTTP from the peer', /connector\/http\/|node:_?http/],
  ['STREAM', /connector\/(stream|receipts)\/|shared\/stream-credentials\//],
  ['packet codec', /connector\/packet\/|node_modules\/(ilp-packet|oer-utils)/],
  ['routes and rates', /connector\/(routing|rates)\//],
  ['incoming payments', /shared\/incoming-payments\/|shared\/platform\/db/],
  ['pipeline', /connector\/pipeline\//],
]
const NOT_WORK = new Set(['(idle)', '(root)'])
const GARBAGE = '(garbage collector)'
const REST = 'rest of Node'

/**
 * The shares of this process's time while `work` runs, by stage. Time inside Node itself counts for whichever stage called it; what
 * nobody of ours called is the rest.
 */
export async function shareOfStages(work: () => Promise<unknown>): Promise<Map<string, number>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  await work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return attribute(profile)
}

function attribute({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parents = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  )
  const stageOf = (id: number): string | undefined => {
    const own = byId.get(id)?.callFrame
    if (own && NOT_WORK.has(own.functionName)) return undefined
    if (own?.functionName === GARBAGE) return 'garbage collection'
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const url = byId.get(at)?.callFrame.url ?? ''
      const found = stages.find(([, files]) => files.test(url))
      if (found) return found[0]
    }
    return REST
  }
  const stageById = new Map(nodes.map(({ id }) => [id, stageOf(id)]))
  const totals = new Map<string, number>()
  for (const [index, id] of samples.entries()) {
    const stage = stageById.get(id)
    if (stage) totals.set(stage, (totals.get(stage) ?? 0) + (timeDeltas[index] ?? 0))
  }
  const all = [...totals.values()].reduce((sum, time) => sum + time, 0)
  return new Map([...totals].sort(([, a], [, b]) => b - a).map(([stage, time]) => [stage, time / all]))
}
