import { Refusal } from '../../shared/platform/index.ts'

/** Decrypted or not, the bytes are not a STREAM packet. */
export class InvalidStreamPacket extends Refusal<'invalid_stream_packet'> {
  constructor(message: string) {
    super('invalid_stream_packet', { message })
  }
}

/** The destination that we should pay to is not an ILP address with a secret of 32 bytes. */
export class InvalidDestination extends Refusal<'invalid_destination'> {
  constructor(message: string) {
    super('invalid_destination', { message })
  }
}

/**
 * `no_route`: nobody on the path knows the destination. `closed_by_receiver`: the receiver answered that it takes nothing
 * more. `probe_failed`: no authentic answer came in time, or a reject that is final; `details` has its code and sender.
 */
export type ProbeFailureCode = 'no_route' | 'closed_by_receiver' | 'probe_failed'

export class ProbeFailed extends Refusal<ProbeFailureCode> {}
