import { type Clock, Fault, type Logger } from '../../shared/platform/index.ts'
import type { Counters } from '../counters.ts'
import { deserializeReply, InvalidPacket, patchPrepare } from '../packet/index.ts'
import type { Peer } from '../routing/index.ts'
import type { OutgoingPacket, Reply, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/** The way to peers. Any answer with a 2xx status is its body; everything else is a {@link Fault}, `request_timeout` after `timeoutMs`. */
export interface PeerTransport {
  post(peer: Peer, body: Buffer, timeoutMs: number): Promise<Buffer>
}

/**
 * Innermost: the packet leaves, amount and expiry patched into its own bytes. The next hop's answer comes back as it is; no
 * answer before the expiry is R00, and an answer after it is not waited for; a broken connection, another status or bytes that
 * are no packet are T00 (connector.md §4).
 */
export const sendToPeer =
  (ctx: {
    transport: PeerTransport
    clock: Clock
    log: Logger
    counters: Counters
    rejects: Rejects
  }): Service<OutgoingPacket> =>
  async (packet) => {
    const { peer, expiresAt, destinationAmount } = packet
    const { bytes } = patchPrepare(packet.prepare, { amount: destinationAmount, expiresAt })
    const timeoutMs = expiresAt.getTime() - ctx.clock.nowMs()
    if (timeoutMs <= 0) return ctx.rejects('R00', rejectMessages.expired)
    ctx.counters.count('packets_forwarded')
    try {
      const body = await ctx.transport.post(peer, bytes, timeoutMs)
      const reply: Reply = deserializeReply(body)
      reply.bytes = body
      return reply
    } catch (error) {
      if (error instanceof Fault && error.code === 'request_timeout')
        return ctx.rejects('R00', rejectMessages.expired)
      if (!(error instanceof Fault || error instanceof InvalidPacket)) throw error
      ctx.log.warn({ peerId: peer.id, code: error.code, reason: error.message }, 'peer did not answer')
      return ctx.rejects('T00', rejectMessages.internal)
    }
  }
