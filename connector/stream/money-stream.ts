import type { Frame, StreamPacket } from './frames.ts'

/** A STREAM connection can carry many streams; between this kind of sender and receiver money flows on this one. */
export const MONEY_STREAM = 1n

/** Words beside the money. */
export const dataFrame = (data: Buffer): Frame => ({
  type: 'streamData',
  streamId: MONEY_STREAM,
  offset: 0n,
  data,
})

/** What came beside the money: of its stream, else whatever came first. */
export function dataIn(packet: StreamPacket): Buffer | undefined {
  const frames = packet.frames.filter((frame) => frame.type === 'streamData')
  return (frames.find(({ streamId }) => streamId === MONEY_STREAM) ?? frames[0])?.data
}

/** Says that the other side takes no more money. */
export const saysClosed = (packet: StreamPacket): boolean =>
  packet.frames.some(
    (frame) =>
      frame.type === 'connectionClose' || (frame.type === 'streamClose' && frame.streamId === MONEY_STREAM),
  )
