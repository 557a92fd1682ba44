import type { PaymentMethods } from '../payment-methods/index.ts'
import type { ReceiverContext } from '../receivers/index.ts'

export type QuoteContext = ReceiverContext & {
  methods: PaymentMethods
  settings: { quoteLifespanMs: number }
}
