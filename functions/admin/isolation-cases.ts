/** For tests only: how each query and mutation is asked about somebody's belongings. A new operation gets its line here. */
import { uuidv7 } from '../../shared/platform/index.ts'
import { type Belongings, newJwk } from './belongings.ts'
import { newSecret } from './harness.ts'

type Fields = Record<string, unknown>

export interface IsolationCase {
  /** Valid for whom the belongings are. */
  args(of: Belongings): Fields
  /** How what one does not have is answered: a code, or without an error. */
  unknown: 'NOT_FOUND' | 'BAD_USER_INPUT' | 'no error'
  /** As above, where the tenant itself is named; by default the same. */
  unknownTenant?: 'BAD_USER_INPUT'
  /** The contract's OWN: the operator reaches no other tenant's either. */
  isOwn?: true
  /** Nobody but the operator may ask at all. */
  isOperatorOnly?: true
  /** Whoever names another tenant does it to itself. */
  actsOnOwn?: true
  /** Whether it exists is no secret; only what it is. */
  isPublicKnowledge?: true
  /** What is meant for everybody who knows it: a receiver can be read and paid, as over Open Payments. */
  open?: readonly (keyof Belongings)[]
}

const input = (fields: Fields) => ({ input: { idempotencyKey: uuidv7(), ...fields } })
const movement = () => ({ id: uuidv7(), amount: '1' })
const amount = { value: '1', assetCode: 'EUR', assetScale: 2 }

const cardDetails = { requestId: 'card-1', data: { signature: 'x' }, initiatedAt: '2026-01-01T00:00:00.000Z' }

const one = (args: IsolationCase['args']): IsolationCase => ({ args, unknown: 'NOT_FOUND' })
const own = (args: IsolationCase['args']): IsolationCase => ({ ...one(args), isOwn: true })
/** Tenants that name another tenant in a list get their own things. */
const list = (filter?: (of: Belongings) => Fields): IsolationCase => ({
  args: (of) => ({ tenantId: of.tenantId, ...(filter && { filter: filter(of) }) }),
  unknown: 'no error',
})

const queries: Record<string, IsolationCase> = {
  accountingTransfers: { args: (of) => ({ id: of.asset }), unknown: 'no error' },
  asset: one((of) => ({ id: of.asset })),
  assetByCodeAndScale: { args: () => ({ code: 'EUR', scale: 2 }), unknown: 'no error', isOwn: true },
  assets: list(),
  incomingPayment: one((of) => ({ id: of.incomingPayment })),
  incomingPayments: list(),
  outgoingPayment: one((of) => ({ id: of.paymentWithMoney })),
  outgoingPayments: list((of) => ({
    walletAddressId: { in: [of.walletAddress] },
    receiver: { in: [of.incomingPaymentUrl] },
  })),
  payments: list((of) => ({ walletAddressId: { in: [of.walletAddress] } })),
  peer: one((of) => ({ id: of.peer })),
  peerByAddressAndAsset: {
    args: (of) => ({ staticIlpAddress: 'test.intruder', assetId: of.asset }),
    unknown: 'no error',
    isOwn: true,
  },
  peers: list(),
  quote: own((of) => ({ id: of.quote })),
  receiver: { ...one((of) => ({ id: of.incomingPaymentUrl })), open: ['incomingPaymentUrl'] },
  tenant: one((of) => ({ id: of.tenantId })),
  tenants: { args: () => ({ first: 100 }), unknown: 'no error', isOperatorOnly: true },
  walletAddress: one((of) => ({ id: of.walletAddress })),
  walletAddressByUrl: { args: (of) => ({ url: of.address }), unknown: 'no error' },
  walletAddresses: list(),
  webhookEvents: list(),
  whoami: { args: () => ({}), unknown: 'no error' },
}

const tenants: Record<string, IsolationCase> = {
  createTenant: {
    args: () => ({ input: { id: uuidv7(), apiSecret: newSecret() } }),
    unknown: 'no error',
    isOperatorOnly: true,
  },
  createTenantApiKey: { ...one((of) => ({ input: { tenantId: of.tenantId } })), unknown: 'BAD_USER_INPUT' },
  // It names no tenant: what it writes is the caller's own.
  createTenantSettings: {
    args: () => ({ input: { settings: [{ key: 'WEBHOOK_TIMEOUT', value: '3000' }] } }),
    unknown: 'no error',
    isOwn: true,
  },
  revokeTenantApiKey: one((of) => ({ input: { id: of.apiKey } })),
  updateTenant: one((of) => ({ input: { id: of.tenantId, publicName: 'new name' } })),
}

const catalog: Record<string, IsolationCase> = {
  createAsset: {
    ...one((of) => input({ code: 'XYZ', scale: 2, tenantId: of.tenantId })),
    unknown: 'BAD_USER_INPUT',
  },
  createAssetLiquidityWithdrawal: one((of) =>
    input({ assetId: of.asset, timeoutSeconds: '0', ...movement() }),
  ),
  createOrUpdatePeerByUrl: {
    ...own((of) => input({ assetId: of.asset, peerUrl: of.peerUrl })),
    open: ['peerUrl'],
  },
  createPeer: one((of) =>
    input({
      assetId: of.asset,
      staticIlpAddress: 'test.new',
      http: { outgoing: { endpoint: 'https://new.example', authToken: newSecret() } },
    }),
  ),
  createPeerLiquidityWithdrawal: one((of) => input({ peerId: of.peer, timeoutSeconds: '0', ...movement() })),
  createWalletAddress: {
    ...one((of) => input({ assetId: of.asset, address: 'new', tenantId: of.tenantId })),
    unknownTenant: 'BAD_USER_INPUT',
  },
  createWalletAddressKey: one((of) => input({ walletAddressId: of.walletAddress, jwk: newJwk('new') })),
  createWalletAddressWithdrawal: one((of) =>
    input({ walletAddressId: of.creditedWalletAddress, id: uuidv7(), timeoutSeconds: '0' }),
  ),
  deleteAsset: own((of) => input({ id: of.assetToDelete })),
  approvePeer: own((of) => input({ id: of.peerToApprove })),
  deletePeer: own((of) => input({ id: of.peerToDelete })),
  depositAssetLiquidity: one((of) => input({ assetId: of.asset, ...movement() })),
  depositPeerLiquidity: one((of) => input({ peerId: of.peer, ...movement() })),
  revokeWalletAddressKey: one((of) => input({ id: of.key })),
  setFee: one((of) => input({ assetId: of.asset, type: 'SENDING', fee: { fixed: '100', basisPoints: 0 } })),
  triggerWalletAddressEvents: { args: () => input({ limit: 0 }), unknown: 'no error' },
  updateAsset: own((of) => input({ id: of.asset, liquidityThreshold: '1' })),
  updatePeer: one((of) => input({ id: of.peer, name: 'new name' })),
  updateWalletAddress: own((of) => input({ id: of.walletAddress, publicName: 'new name' })),
}

const partialOf = (of: Belongings) => ({
  incomingPaymentId: of.incomingPayment,
  partialIncomingPaymentId: of.partialPayment,
})

const payments: Record<string, IsolationCase> = {
  approveIncomingPayment: own((of) => ({ input: { id: of.incomingToApprove } })),
  cancelIncomingPayment: own((of) => ({ input: { id: of.incomingToCancel, cancellationReason: 'no' } })),
  cancelOutgoingPayment: own((of) => ({ input: { id: of.paymentToCancel } })),
  completeReceiver: own((of) => ({ input: { incomingPaymentUrl: of.incomingToCompleteUrl } })),
  confirmPartialIncomingPayment: one((of) => ({ input: partialOf(of) })),
  createIncomingPayment: own((of) => input({ walletAddressId: of.walletAddress })),
  createIncomingPaymentWithdrawal: one((of) =>
    input({ incomingPaymentId: of.incomingWithMoney, timeoutSeconds: '0' }),
  ),
  createOutgoingPayment: own((of) => input({ walletAddressId: of.walletAddress, quoteId: of.quote })),
  createOutgoingPaymentFromIncomingPayment: {
    ...own((of) =>
      input({ walletAddressId: of.walletAddress, incomingPayment: of.incomingPaymentUrl, cardDetails }),
    ),
    open: ['incomingPaymentUrl'],
  },
  createOutgoingPaymentWithdrawal: one((of) =>
    input({ outgoingPaymentId: of.paymentWithMoney, timeoutSeconds: '0' }),
  ),
  createQuote: {
    ...own((of) => input({ walletAddressId: of.walletAddress, receiver: of.incomingPaymentUrl })),
    open: ['incomingPaymentUrl'],
  },
  createReceiver: {
    ...own((of) => input({ walletAddressUrl: of.payeeAddress, incomingAmount: amount })),
    // Whether there is such an address, everybody sees who asks for it over Open Payments.
    isPublicKnowledge: true,
  },
  // Events that one does not have: the contract's code.
  depositEventLiquidity: { ...one((of) => input({ eventId: of.createdEvent })), unknown: 'BAD_USER_INPUT' },
  depositOutgoingPaymentLiquidity: own((of) => input({ outgoingPaymentId: of.paymentToFund })),
  postLiquidityWithdrawal: one((of) => input({ withdrawalId: of.withdrawalToPost })),
  rejectPartialIncomingPayment: one((of) => ({ input: { ...partialOf(of), reason: 'no' } })),
  updateIncomingPayment: one((of) => ({ input: { id: of.incomingPayment, metadata: { of: 'new' } } })),
  voidLiquidityWithdrawal: one((of) => input({ withdrawalId: of.withdrawalToVoid })),
  withdrawEventLiquidity: {
    ...one((of) => input({ eventId: of.completedEvent })),
    unknown: 'BAD_USER_INPUT',
  },
}

const period = { from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z' }
const webhooks: Record<string, IsolationCase> = {
  resendDeadWebhookEvents: {
    args: (of) => input({ tenantId: of.tenantId }),
    unknown: 'no error',
    actsOnOwn: true,
  },
  resendWebhookEvent: one((of) => input({ id: of.createdEvent })),
  resendWebhookEvents: {
    args: (of) => input({ tenantId: of.tenantId, ...period }),
    unknown: 'no error',
    actsOnOwn: true,
  },
  setWebhookSecret: {
    ...one((of) => input({ tenantId: of.tenantId, secret: newSecret() })),
    unknown: 'BAD_USER_INPUT',
  },
}

/** What ends a tenant comes last. */
const last: Record<string, IsolationCase> = {
  deleteTenant: { ...one((of) => ({ id: of.tenantId })), isOperatorOnly: true },
}

export const isolationCases: Record<string, IsolationCase> = {
  ...queries,
  ...tenants,
  ...catalog,
  ...payments,
  ...webhooks,
  ...last,
}
