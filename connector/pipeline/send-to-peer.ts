import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, Fault, type Logger } from '../../shared/platform/index.ts'
import type { Counters } from '../counters.ts'
import { deserializeReply, InvalidPacket, patchPrepare } from '../packet/index.ts'
import type { Peer } from '../routing/index.ts'
import type { OutgoingPacket, Reply, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/**
 * The way to peers. Any answer with a 2xx status is its body; everything else is a {@link Fault}: `request_timeout` after `timeoutMs`,
 * `answer_lost` when the packet may have arrived and the peer has said that it knows a packet that comes again.
 */
export interface PeerTransport {
  post(peer: Peer, body: Buffer, timeoutMs: number): Promise<Buffer>
  /** Whether the peer knows a packet that comes again. It is asked where it has not said so yet; `undefined`: it does not answer. */
  knowsRepeats(peer: Peer, timeoutMs: number): Promise<boolean | undefined>
}

const REPEAT_MS_MIN = 50
const REPEAT_MS_MAX = 1_000

/**
 * Innermost: the packet leaves, amount and expiry patched into its own bytes. The next hop's answer comes back as it is; no
 * answer before the expiry is R00, and an answer after it is not waited for; a broken connection, another status or bytes that
 * are no packet are T00 (connector.md §4).
 *
 * When an answer was lost the next hop may have been paid, and a Reject here would make the sender pay again. So the same bytes
 * are sent again for as long as the packet lives, past a restart of the next hop: it then answers as it would have before. Only
 * to peers that know repeats, because others would take the repeat for another packet (RFC 35, Idempotence).
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
    await packet.kept
    let isLost = false
    for (let delayMs = REPEAT_MS_MIN; ; delayMs = Math.min(delayMs * 2, REPEAT_MS_MAX)) {
      const timeoutMs = expiresAt.getTime() - ctx.clock.nowMs()
      if (timeoutMs <= 0) return ctx.rejects('R00', rejectMessages.expired)
      ctx.counters.count(isLost ? 'packets_repeated' : 'packets_forwarded')
      try {
        const body = await ctx.transport.post(peer, bytes, timeoutMs)
        const reply: Reply = deserializeReply(body)
        reply.bytes = body
        return reply
      } catch (error) {
        if (error instanceof Fault && error.code === 'request_timeout')
          return ctx.rejects('R00', rejectMessages.expired)
        if (!(error instanceof Fault || error instanceof InvalidPacket)) throw error
        // Once it may have arrived, a peer that cannot be reached at all proves nothing.
        isLost ||= error.code === 'answer_lost'
        const about = { peerId: peer.id, code: error.code, reason: error.message, isLost }
        ctx.log.warn(about, 'peer did not answer')
        if (!isLost) return ctx.rejects('T00', rejectMessages.internal)
        await sleep(Math.min(delayMs, Math.max(0, expiresAt.getTime() - ctx.clock.nowMs())))
      }
    }
  }
