import { Refusal } from '../../shared/platform/index.ts'

/** The bytes are not a packet of the expected kind. Answered with F01, or T00 when they came from the next hop. */
export class InvalidPacket extends Refusal<'invalid_packet'> {
  constructor(message: string, cause?: unknown) {
    super('invalid_packet', { message, cause })
  }
}
