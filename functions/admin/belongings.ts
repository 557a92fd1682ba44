/** For tests only: a tenant with one of everything that the Admin API can name. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { depositLiquidity, getAsset } from '../../shared/assets/index.ts'
import {
  askAboutPartialPayment,
  createIncomingPayment,
  processIncomingPayment,
} from '../../shared/incoming-payments/index.ts'
import { accountCode } from '../../shared/ledger/index.ts'
import type { NodeContext } from '../../shared/node-context/index.ts'
import { createGrantedPayment, processOutgoingPayment } from '../../shared/outgoing-payments/index.ts'
import { sql, uuidv7 } from '../../shared/platform/index.ts'
import { consumeJobs } from '../../shared/queue/index.ts'
import { webhookRecipient } from '../../shared/tenants/index.ts'
import { findWalletAddressForPackets } from '../../shared/wallet-addresses/index.ts'
import { deliverWebhook, loadDelivery } from '../../shared/webhooks/index.ts'
import { newSecret, type Party, type TestAdmin } from './harness.ts'

/** Of the testing room, which only tests may import: they bring it. */
export type WaitFor = <T>(check: () => Promise<T | false>) => Promise<T>

/** By what it is for. Those that a mutation uses up are used by that one only. */
export type Belongings = Record<
  | 'tenantId'
  | 'asset'
  | 'assetToDelete'
  | 'peer'
  | 'peerToDelete'
  | 'peerToApprove'
  | 'walletAddress'
  | 'address'
  | 'payeeWalletAddress'
  | 'payeeAddress'
  | 'creditedWalletAddress'
  | 'key'
  | 'incomingPayment'
  | 'incomingPaymentUrl'
  | 'incomingToApprove'
  | 'incomingToCancel'
  | 'incomingToCompleteUrl'
  | 'incomingWithMoney'
  | 'partialPayment'
  | 'quote'
  | 'payment'
  | 'paymentToCancel'
  | 'paymentToFund'
  | 'paymentWithMoney'
  | 'createdEvent'
  | 'completedEvent'
  | 'withdrawalToPost'
  | 'withdrawalToVoid'
  | 'apiKey'
  | 'peerUrl',
  string
>

type Fields = Record<string, unknown>
interface Made {
  id: string
  url: string
}
interface Event {
  id: string
  type: string
  data: { id: string }
}

export const newJwk = (kid: string) => ({
  kid,
  x: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x,
  alg: 'EdDSA',
  kty: 'OKP',
  crv: 'Ed25519',
})

const newPeerInput = (assetId: string, name: string) => ({
  assetId,
  name: `peer of ${name}`,
  staticIlpAddress: `test.${name}`,
  maxPacketAmount: '1000',
  packetsPerMinute: 1_000,
  amountLimit: { amount: '100000', seconds: 60 },
  liquidityThreshold: '1',
  http: {
    outgoing: { endpoint: `https://${name}.example`, authToken: newSecret() },
    incoming: { authTokens: [newSecret()] },
  },
})

/** One that asked to be a peer, as it comes over the auto-peering port. */
async function newAskingPeer(node: NodeContext, id: string): Promise<string> {
  await node.db.execute(sql`update peers set accepted_at = now() where id = ${id}`)
  return id
}

/** Sends and closes payments, and tells about it, until closed. */
const startWorkers = (node: NodeContext) => {
  const common = { concurrency: 20, idleMs: 1_000, leaseSeconds: 10 }
  const workers = [
    consumeJobs(node, {
      ...common,
      queue: 'outgoing-payments',
      handler: (job) => processOutgoingPayment(node, job),
    }),
    consumeJobs(node, {
      ...common,
      queue: 'incoming-payments',
      handler: (job) => processIncomingPayment(node, job),
    }),
    consumeJobs(node, {
      ...common,
      queue: 'webhooks',
      load: loadDelivery,
      handler: (job) =>
        deliverWebhook(
          {
            ...node,
            recipients: (tenantId, endpoint) => webhookRecipient(node, tenantId, endpoint),
          },
          job,
        ),
    }),
  ]
  return { close: () => Promise.all(workers.map((worker) => worker.close())) }
}

/** What the three kinds of steps below work with. */
interface Maker {
  admin: TestAdmin
  party: Party
  name: string
  asset: string
  make(operation: string, part: string, input: Fields): Promise<Made>
  run(operation: string, input: Fields): Promise<unknown>
}

function createMaker(admin: TestAdmin, party: Party, name: string): Omit<Maker, 'asset'> {
  const run: Maker['run'] = (operation, input) =>
    admin.succeed(party, operation, { input: { idempotencyKey: uuidv7(), ...input } })
  return {
    admin,
    party,
    name,
    run,
    make: async (operation, part, input) =>
      ((await run(operation, input)) as Record<string, Made>)[part] as Made,
  }
}

async function makeCatalog({ admin, party, name, asset, make, run }: Maker) {
  await run('setFee', { assetId: asset, type: 'SENDING', fee: { fixed: '1', basisPoints: 10 } })
  await run('setFee', { assetId: asset, type: 'RECEIVING', fee: { fixed: '2', basisPoints: 20 } })
  await run('depositAssetLiquidity', { assetId: asset, id: uuidv7(), amount: '100000' })
  const peer = (await make('createPeer', 'peer', newPeerInput(asset, name))).id
  await run('depositPeerLiquidity', { peerId: peer, id: uuidv7(), amount: '100000' })
  const newWalletAddress = async (path: string) =>
    (
      await make('createWalletAddress', 'walletAddress', {
        assetId: asset,
        address: `${party.prefix}/${path}`,
        publicName: `${path} of ${name}`,
        additionalProperties: [
          { key: 'about', value: `about ${path} of ${name}`, visibleInOpenPayments: true },
        ],
      })
    ).id
  const newWithdrawal = async () => {
    const id = uuidv7()
    await run('createAssetLiquidityWithdrawal', { assetId: asset, id, amount: '5', timeoutSeconds: '3600' })
    return id
  }
  const walletAddress = await newWalletAddress('alice')
  const key = await make('createWalletAddressKey', 'walletAddressKey', {
    walletAddressId: walletAddress,
    jwk: newJwk(`key of ${name}`),
  })
  return {
    assetToDelete: (await make('createAsset', 'asset', { code: 'OLD', scale: 2 })).id,
    peer,
    peerToApprove: await newAskingPeer(
      admin.node,
      (await make('createPeer', 'peer', newPeerInput(asset, `${name}-asking`))).id,
    ),
    peerToDelete: (await make('createPeer', 'peer', newPeerInput(asset, `${name}-old`))).id,
    walletAddress,
    address: `${party.prefix}/alice`,
    payeeWalletAddress: await newWalletAddress('bob'),
    payeeAddress: `${party.prefix}/bob`,
    creditedWalletAddress: await creditWalletAddress(admin.node, party, await newWalletAddress('carol')),
    key: key.id,
    withdrawalToPost: await newWithdrawal(),
    withdrawalToVoid: await newWithdrawal(),
  }
}

/** As the connector does for packets that name the address itself. */
async function creditWalletAddress(node: NodeContext, { tenantId }: Party, id: string): Promise<string> {
  const walletAddress = await findWalletAddressForPackets(node, id)
  assert.ok(walletAddress)
  const { ledger } = walletAddress.asset
  await node.ledger.createAccounts([
    { id, ledger, code: accountCode.webMonetization, debitsMustNotExceedCredits: true },
  ])
  await depositLiquidity(node, { accountId: id, tenantId, ledger, transferId: uuidv7(), amount: 12n })
  return id
}

async function makePayments(
  { admin, party, name, make, run }: Maker,
  { waitFor, ...addresses }: { walletAddress: string; payeeWalletAddress: string; waitFor: WaitFor },
) {
  const { walletAddress: walletAddressId, payeeWalletAddress } = addresses
  const incomingAmount = { value: '500', assetCode: 'EUR', assetScale: 2 }
  const newIncoming = () =>
    make('createIncomingPayment', 'payment', {
      walletAddressId: payeeWalletAddress,
      incomingAmount,
      metadata: { description: `invoice of ${name}` },
      senderWalletAddress: `${party.prefix}/alice`,
    })
  const newQuote = async (receiver: string) =>
    (await make('createQuote', 'quote', { walletAddressId, receiver })).id
  const newOutgoing = async (receiver: string) =>
    (
      await make('createOutgoingPayment', 'payment', {
        walletAddressId,
        quoteId: await newQuote(receiver),
        metadata: { description: `bill of ${name}` },
      })
    ).id
  const pay = async (receiver: string) => {
    const outgoingPaymentId = await newOutgoing(receiver)
    await run('depositOutgoingPaymentLiquidity', { outgoingPaymentId })
    return outgoingPaymentId
  }
  const events = async (...types: string[]) => {
    const answer = await admin.succeed(party, 'webhookEvents', {
      filter: { type: { in: types } },
      first: 100,
    })
    return (answer as { edges: { node: Event }[] }).edges.map(({ node }) => node)
  }

  const [incoming, withMoney, viaEvent] = [await newIncoming(), await newIncoming(), await newIncoming()]
  await makeClients({ admin, party, name }, { ...addresses, receiver: incoming.url })
  const gone = await newIncoming()
  const outgoingPaymentId = await newOutgoing(gone.url)
  await admin.succeed(party, 'completeReceiver', { input: { incomingPaymentUrl: gone.url } })
  await run('depositOutgoingPaymentLiquidity', { outgoingPaymentId })
  const paymentWithMoney = await pay(withMoney.url)
  await pay(viaEvent.url)
  const ended = await waitFor(async () => {
    const found = await events(
      'incoming_payment.completed',
      'outgoing_payment.completed',
      'outgoing_payment.failed',
    )
    return found.length >= 5 && found
  })
  const completedEvent = ended.find(({ data }) => data.id === viaEvent.id)?.id
  const payment = await newOutgoing(incoming.url)
  const createdEvent = (await events('outgoing_payment.created')).find(({ data }) => data.id === payment)?.id
  assert.ok(completedEvent && createdEvent)
  return {
    incomingPayment: incoming.id,
    incomingPaymentUrl: incoming.url,
    incomingToApprove: (await newIncoming()).id,
    incomingToCancel: (await newIncoming()).id,
    incomingToCompleteUrl: (await newIncoming()).url,
    incomingWithMoney: withMoney.id,
    partialPayment: await makePartialPayment(admin.node, incoming.id),
    quote: await newQuote(incoming.url),
    payment,
    paymentToCancel: await newOutgoing(incoming.url),
    paymentToFund: await newOutgoing(incoming.url),
    paymentWithMoney,
    completedEvent,
    createdEvent,
  }
}

/** As the connector asks about a packet. */
async function makePartialPayment(node: NodeContext, incomingPaymentId: string): Promise<string> {
  const partialIncomingPaymentId = uuidv7()
  const partial = { incomingPaymentId, partialIncomingPaymentId, dataFromSender: 'words of a sender' }
  assert.ok(await askAboutPartialPayment(node, partial))
  return partialIncomingPaymentId
}

/** What clients made over Open Payments. */
async function makeClients(
  { admin: { node }, party: { tenantId }, name }: Pick<Maker, 'admin' | 'party' | 'name'>,
  of: { walletAddress: string; receiver: string },
) {
  const client = `https://client.example/of-${name}`
  const common = {
    tenantId,
    walletAddressId: of.walletAddress,
    client,
    initiatedBy: 'OPEN_PAYMENTS',
  } as const
  await createIncomingPayment(node, common)
  await createGrantedPayment(node, {
    ...common,
    incomingPayment: of.receiver,
    grant: { id: `grant of ${name}` },
  })
}

/** Gives a tenant one of everything; when it resolves, nothing is under way. */
export async function settle(
  admin: TestAdmin,
  party: Party,
  { name, peerUrl, waitFor }: { name: string; peerUrl: string; waitFor: WaitFor },
): Promise<Belongings> {
  const maker = createMaker(admin, party, name)
  const asset = (
    await maker.make('createAsset', 'asset', {
      code: 'EUR',
      scale: 2,
      liquidityThreshold: '1',
      withdrawalThreshold: '100',
    })
  ).id
  assert.equal((await getAsset(admin.node, party, asset)).id, asset)
  const workers = startWorkers(admin.node)
  try {
    const catalog = await makeCatalog({ ...maker, asset })
    const payments = await makePayments({ ...maker, asset }, { ...catalog, waitFor })
    await admin.succeed(party, 'updateTenant', {
      input: {
        id: party.tenantId,
        publicName: `bank of ${name}`,
        email: `${name}@bank.example`,
        idpConsentUrl: `https://idp.example/${name}`,
        idpSecret: newSecret(),
      },
    })
    await maker.run('setWebhookSecret', { secret: newSecret() })
    await waitFor(async () => {
      const untried = sql`select from webhook_deliveries where attempts = 0 and state = 'pending'`
      return (await admin.node.db.execute(untried)) === 0
    })
    const { apiKey } = await admin.succeed(party, 'createTenantApiKey', {
      input: { name: `tool of ${name}` },
    })
    return { tenantId: party.tenantId, asset, ...catalog, ...payments, apiKey: (apiKey as Made).id, peerUrl }
  } finally {
    await workers.close()
  }
}
