import type { StreamPacket } from './frames.ts'

/** A STREAM connection can carry many streams; between this kind of sender and receiver money flows on this one. */
export const MONEY_STREAM = 1n

/** Says that the other side takes no more money. */
export const saysClosed = (packet: StreamPacket): boolean =>
  packet.frames.some(
    (frame) =>
      frame.type === 'connectionClose' || (frame.type === 'streamClose' && frame.streamId === MONEY_STREAM),
  )
