// A slice of a run on a thread of its own, so that an input without end can be noticed and named.
import { parentPort, workerData } from 'node:worker_threads'
import { fuzz } from './fuzz.ts'

export interface FuzzOrder {
  seed: number
  from: number
  to: number
  inputMsMax: number
  /** Where the number of the input under way is written. */
  progress: SharedArrayBuffer
}

const order = workerData as FuzzOrder
const progress = new BigInt64Array(order.progress)
const counts = fuzz({ ...order, onInput: (index) => Atomics.store(progress, 0, BigInt(index)) })
parentPort?.postMessage(counts)
