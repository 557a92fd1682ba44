import { InvalidInput, parseId } from '../../../shared/graphql-server/index.ts'
import { decidePartialPayment } from '../../../shared/incoming-payments/index.ts'
import { succeeded } from './input.ts'
import { anyOrOwn, type RequestContext, type ResolverMap, rowMutation } from './resolver.ts'

/** The reason travels in a packet. */
const REASON_BYTES_MAX = 4_096

function parseReason(reason: string): string {
  if (Buffer.byteLength(reason) > REASON_BYTES_MAX)
    throw new InvalidInput(`reason must have at most ${REASON_BYTES_MAX} bytes`)
  return reason
}

interface PartialPaymentInput {
  incomingPaymentId: string
  partialIncomingPaymentId: string
  reason?: string | null
  /** Never there: the last word counts, so a repeat needs no key. */
  idempotencyKey?: null
}

const decide =
  (accepted: boolean) =>
  async (ctx: RequestContext, { reason, ...input }: PartialPaymentInput) => {
    await decidePartialPayment(ctx.node, anyOrOwn(ctx), {
      incomingPaymentId: parseId(input.incomingPaymentId, 'incomingPaymentId'),
      partialIncomingPaymentId: parseId(input.partialIncomingPaymentId, 'partialIncomingPaymentId'),
      accepted,
      ...(reason != null && { reason: parseReason(reason) }),
    })
    return succeeded
  }

export const partialPaymentResolvers: ResolverMap = {
  Mutation: {
    confirmPartialIncomingPayment: rowMutation<PartialPaymentInput, unknown>(
      'confirmPartialIncomingPayment',
      decide(true),
    ),
    rejectPartialIncomingPayment: rowMutation<PartialPaymentInput, unknown>(
      'rejectPartialIncomingPayment',
      decide(false),
    ),
  },
}
