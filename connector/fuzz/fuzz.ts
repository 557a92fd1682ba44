import { messageOf } from '../../shared/platform/index.ts'
import { httpTargets } from './http-targets.ts'
import { mutate } from './mutate.ts'
import { packetTargets } from './packet-targets.ts'
import { createRandom, seedOf } from './random.ts'
import { streamTargets } from './stream-targets.ts'
import type { FuzzTarget } from './target.ts'

export const fuzzTargets: readonly FuzzTarget[] = [...packetTargets, ...streamTargets, ...httpTargets]

/** An input that a parser must not have met like this. */
export class FuzzFailure extends Error {
  constructor(target: FuzzTarget, input: { seed: number; index: number; bytes: Buffer }, cause: unknown) {
    super(
      `${target.name}: ${messageOf(cause)}\ninput ${input.index} of seed ${input.seed}: ${input.bytes.toString('hex')}`,
      { cause },
    )
  }
}

export interface FuzzCounts {
  inputs: number
  accepted: number
  /** Of the slowest input, in CPU time: a thread that has to wait for its turn is not slow. */
  msMax: number
}

/**
 * Tries the inputs with these numbers, all targets in turn, and counts by target. Throws {@link FuzzFailure} at the first that goes
 * wrong; one that takes longer than `inputMsMax` is wrong as well. `onInput` is told before each, for a watcher of endless ones.
 */
export function fuzz(options: {
  seed: number
  from: number
  to: number
  inputMsMax: number
  onInput?: (index: number) => void
}): Map<string, FuzzCounts> {
  const { seed, from, to, inputMsMax, onInput } = options
  const counts = new Map(fuzzTargets.map(({ name }) => [name, { inputs: 0, accepted: 0, msMax: 0 }]))
  for (let index = from; index < to; index++) {
    onInput?.(index)
    const target = fuzzTargets[index % fuzzTargets.length] as FuzzTarget
    const bytes = mutate(target.corpus, createRandom(seedOf(seed, index)))
    const count = counts.get(target.name) as FuzzCounts
    const startedAt = process.threadCpuUsage()
    try {
      if (target.check(Buffer.from(bytes)) === 'accepted') count.accepted++
      const { user, system } = process.threadCpuUsage(startedAt)
      const ms = (user + system) / 1000
      if (ms > inputMsMax) throw new Error(`took ${ms.toFixed(0)} ms`)
      count.msMax = Math.max(count.msMax, ms)
    } catch (error) {
      throw new FuzzFailure(target, { seed, index, bytes }, error)
    }
    count.inputs++
  }
  return counts
}
