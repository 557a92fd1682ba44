import { toMoneyAsset } from '../assets/index.ts'
import type { Cache, Clock, Db } from '../platform/index.ts'
import { createStreamCredentials } from '../stream-credentials/index.ts'
import { getTenantSettings, type TenantDefaults } from '../tenants/index.ts'
import { canReceive, type IncomingPayment } from './model.ts'

/** How to pay, as on the wire. */
export interface IlpPaymentMethod {
  type: 'ilp'
  ilpAddress: string
  /** base64url, 32 bytes. */
  sharedSecret: string
}

/** Fresh credentials on each call; none once the payment is closed, or when its tenant has no ILP address. */
export async function paymentMethodsOf(
  ctx: { db: Db; cache: Cache; clock: Clock; settings: TenantDefaults & { streamSecret: Buffer } },
  payment: Pick<IncomingPayment, 'id' | 'tenantId' | 'asset' | 'state' | 'expiresAt'>,
): Promise<IlpPaymentMethod[]> {
  if (!canReceive(payment, ctx.clock.now())) return []
  const { ilpAddress } = await getTenantSettings(ctx, payment.tenantId)
  if (ilpAddress === undefined) return []
  const credentials = createStreamCredentials({
    streamSecret: ctx.settings.streamSecret,
    ilpAddress,
    paymentTag: payment.id,
    asset: toMoneyAsset(payment.asset),
  })
  return [
    {
      type: 'ilp',
      ilpAddress: credentials.ilpAddress,
      sharedSecret: credentials.sharedSecret.toString('base64url'),
    },
  ]
}
