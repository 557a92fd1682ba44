import { createIlpMethod, type IlpMethodContext } from './ilp/ilp-method.ts'
import { createLocalMethod, type LocalMethodContext } from './local/local-method.ts'
import type { PaymentMethods } from './port.ts'

export type PaymentMethodsContext = LocalMethodContext & IlpMethodContext

/** All methods, wired once per process. `settings.slippage`: share of the price that an ILP payment may lose, such as 1/100. */
export const createPaymentMethods = (ctx: PaymentMethodsContext): PaymentMethods => ({
  LOCAL: createLocalMethod(ctx),
  ILP: createIlpMethod(ctx),
})
