import type { FastifyRequest } from 'fastify'
import { toMoneyAsset } from '../../shared/assets/index.ts'
import { createStreamCredentials, type ReceiptSetup } from '../../shared/stream-credentials/index.ts'
import { getTenantSettings } from '../../shared/tenants/index.ts'
import type { WalletAddress } from '../../shared/wallet-addresses/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { RouteRefusal } from './errors.ts'

export const SPSP_TYPE = 'application/spsp4+json'

/** SPSP (RFC 9): where to send a STREAM payment that has no incoming payment, as Web Monetization does. */
export interface SpspDocument {
  destination_account: string
  /** base64url, 32 bytes. */
  shared_secret: string
  receipts_enabled: boolean
}

const NONCE_LENGTH = 16
const SECRET_LENGTH = 32
/** Either alphabet; 32 bytes have 43 digits. */
const BASE64 = /^[\w+/-]{1,43}={0,2}$/

export const wantsSpsp = (request: FastifyRequest): boolean =>
  request.headers.accept?.toLowerCase().includes(SPSP_TYPE) ?? false

function bytesOf(header: string | string[], length: number): Buffer {
  const bytes = typeof header === 'string' && BASE64.test(header) ? Buffer.from(header, 'base64') : undefined
  if (bytes?.length !== length) throw new RouteRefusal('receipt_setup_invalid')
  return bytes
}

/**
 * What signs receipts (RFC 39), as whoever will verify them asks for it: `Receipt-Nonce`, 16 bytes, and `Receipt-Secret`, 32 bytes, both in
 * base64. Throws {@link RouteRefusal} `receipt_setup_invalid` when one of them is missing or is not that.
 */
export function receiptSetupOf(headers: FastifyRequest['headers']): ReceiptSetup | undefined {
  const nonce = headers['receipt-nonce']
  const secret = headers['receipt-secret']
  if (nonce === undefined && secret === undefined) return undefined
  if (nonce === undefined || secret === undefined) throw new RouteRefusal('receipt_setup_invalid')
  return { nonce: bytesOf(nonce, NONCE_LENGTH), secret: bytesOf(secret, SECRET_LENGTH) }
}

/**
 * Fresh credentials under which packets pay the wallet address itself (contracts/ilp/connector.md §11); earlier ones stay valid.
 * `undefined` when its tenant has no ILP address.
 */
export async function spspDocument(
  ctx: OpenPaymentsContext,
  walletAddress: WalletAddress,
  receipt: ReceiptSetup | undefined,
): Promise<SpspDocument | undefined> {
  const { ilpAddress } = await getTenantSettings(ctx, walletAddress.tenantId)
  if (ilpAddress === undefined) return undefined
  const credentials = createStreamCredentials({
    streamSecret: ctx.settings.streamSecret,
    ilpAddress,
    paymentTag: walletAddress.id,
    asset: toMoneyAsset(walletAddress.asset),
    ...(receipt && { receipt }),
  })
  return {
    destination_account: credentials.ilpAddress,
    shared_secret: credentials.sharedSecret.toString('base64url'),
    receipts_enabled: receipt !== undefined,
  }
}
