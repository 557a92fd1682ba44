import type { FoundPacket, KeptPacket } from '../../shared/outgoing-payments/index.ts'
import { patchPrepare } from '../packet/index.ts'
import type { OutgoingPacket, Reply, Service } from './model.ts'

/** Packets of this node's own payments that are under way, where they outlive their connector. */
export interface KeptPackets {
  /** Who keeps here. */
  readonly sender: string
  keep(packet: KeptPacket): Promise<void>
  /** Of one payment. Who records a payment's progress forgets those that count in it. */
  find(outgoingPaymentId: string): Promise<FoundPacket[]>
}

/**
 * A packet of this node's own payment is kept before it leaves, while its money is held: whoever comes after this connector can ask the
 * next hop for its answer again. It stays until its answer is recorded with the payment. Others' packets come again by themselves: who
 * sent them repeats them.
 */
export const keepPacket =
  (
    ctx: { kept: Pick<KeptPackets, 'keep' | 'sender'> },
    next: Service<OutgoingPacket>,
  ): Service<OutgoingPacket> =>
  (packet) =>
    packet.answerKey ? nextKept(ctx, packet, packet.answerKey, next) : next(packet)

async function nextKept(
  ctx: Parameters<typeof keepPacket>[0],
  packet: OutgoingPacket,
  answerKey: Buffer,
  next: Service<OutgoingPacket>,
): Promise<Reply> {
  const { account, prepare, peer, packetId: id, destinationAmount: amount, expiresAt } = packet
  const kept = ctx.kept.keep({
    id,
    outgoingPaymentId: account.id,
    tenantId: account.tenantId,
    sender: ctx.kept.sender,
    peerId: peer.id,
    expiresAt: prepare.expiresAt,
    prepare: patchPrepare(prepare, { amount, expiresAt }).bytes,
    answerKey,
  })
  // It may be refused before anybody asks.
  const isDone = kept.catch(() => undefined)
  try {
    // Who hears that it is held may go by what is kept, too.
    return await next({ ...packet, kept, onHeld: () => void isDone.then(packet.onHeld) })
  } finally {
    // Not after it is forgotten.
    await isDone
  }
}
