// `npm run fuzz`: damaged bytes for every parser that reads what strangers send to the connector. Options: --inputs=10000000,
// --seed=<number>, and --replay=<target>:<hex> for one input that a run has printed.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { type FuzzCounts, fuzzTargets } from './fuzz.ts'
import type { FuzzOrder } from './fuzz-worker.ts'

/** Longer than a collection of garbage in between, far shorter than patience. */
const INPUT_MS_MAX = 500
const STUCK_MS = 15_000
const REPORT_MS = 10_000

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    replay: { type: 'string' },
  },
})

if (values.replay === undefined) await main(Number(values.inputs), Number(values.seed))
else replay(values.replay)

function replay(text: string): void {
  const [name = '', hex = ''] = text.split(':')
  const target = fuzzTargets.find((known) => known.name === name)
  if (!target)
    throw new Error(`no target ${name}; there are: ${fuzzTargets.map((known) => known.name).join(', ')}`)
  console.log(target.check(Buffer.from(hex, 'hex')))
}

/** One slice on a thread; rejects with what went wrong, or with the input that has no end. */
function runSlice(order: FuzzOrder): Promise<Map<string, FuzzCounts>> {
  const progress = new BigInt64Array(order.progress)
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('fuzz-worker.ts', import.meta.url), { workerData: order })
    let last = -1n
    const watch = setInterval(() => {
      const now = Atomics.load(progress, 0)
      if (now === last && now > 0n) {
        reject(new Error(`input ${now} of seed ${order.seed} does not end`))
        void worker.terminate()
      }
      last = now
    }, STUCK_MS)
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => clearInterval(watch))
  })
}

async function main(inputs: number, seed: number): Promise<void> {
  const threads = availableParallelism()
  console.log(`${inputs} inputs, seed ${seed}, ${threads} threads`)
  const orders = Array.from({ length: threads }, (_, index): FuzzOrder => {
    const progress = new SharedArrayBuffer(8)
    return {
      seed,
      from: Math.floor((inputs * index) / threads),
      to: Math.floor((inputs * (index + 1)) / threads),
      inputMsMax: INPUT_MS_MAX,
      progress,
    }
  })
  const startedAt = performance.now()
  const report = setInterval(() => {
    const done = orders.reduce(
      (sum, { from, progress }) =>
        sum + Math.max(0, Number(Atomics.load(new BigInt64Array(progress), 0)) - from),
      0,
    )
    console.log(`${done} inputs after ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
  }, REPORT_MS)
  try {
    const slices = await Promise.all(orders.map(runSlice))
    for (const { name } of fuzzTargets) {
      const counts = slices.map((slice) => slice.get(name) as FuzzCounts)
      const sum = (field: 'inputs' | 'accepted') => counts.reduce((total, count) => total + count[field], 0)
      const msMax = Math.max(...counts.map((count) => count.msMax))
      console.log(
        `${name.padEnd(22)} ${String(sum('inputs')).padStart(9)} inputs, ${String(sum('accepted')).padStart(8)} accepted, slowest ${msMax.toFixed(1)} ms`,
      )
    }
    console.log(`nothing went wrong in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
  } finally {
    clearInterval(report)
  }
}
