import { Fault } from '../../shared/platform/index.ts'

/**
 * Neither Fulfill nor Reject would be true: money may have moved for this packet, and this process does not know the
 * fulfilment. The caller gets no ILP answer, as if the connection had broken.
 */
export class AnswerUnknown extends Fault {
  constructor(message: string, details?: Record<string, unknown>) {
    super('answer_unknown', { retryable: true, message, ...(details && { details }) })
  }
}
