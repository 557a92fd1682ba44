/**
 * The pipeline is what happens to a packet: a chain of small services, each of which does one thing. Always true here: a Fulfill
 * means that the ledger has the posting and a Reject that it has none; where neither can be said there is no answer at all; and
 * the same packet never moves money twice.
 */

export type { AskedAgain } from './ask-again.ts'
export {
  createDeliveries,
  type Deliveries,
  type Payee,
  type Payees,
} from './deliveries.ts'
export { AnswerUnknown } from './errors.ts'
export type { KeptPackets } from './keep-packet.ts'
export type { IncomingAccount, Reply } from './model.ts'
export { packetIdOf } from './movement.ts'
export { createPacketObserver, type PacketObserver } from './observe-packets.ts'
export { createPipeline, type Pipeline, type PipelineOptions } from './pipeline.ts'
export { createProgressRecorder, type ProgressRecorder, type WriteProgress } from './record-progress.ts'
export type { PeerTransport } from './send-to-peer.ts'
export { HOLD_WINDOW_MS } from './shorten-expiry.ts'
