import { createSecretKey, randomBytes } from 'node:crypto'
import type { StreamDestination } from '../../shared/connector-client/index.ts'
import { maximum } from '../../shared/money/index.ts'
import {
  type ConnectionKeys,
  deriveConnectionKeys,
  SHARED_SECRET_LENGTH,
} from '../../shared/stream-credentials/index.ts'
import {
  createReject,
  type IlpFulfill,
  type IlpPrepare,
  type IlpReject,
  type IlpReply,
  isFulfill,
  isIlpAddress,
  packetType,
} from '../packet/index.ts'
import { conditionOf, fulfillmentOf, openStreamPacket, sealStreamPacket } from './encryption.ts'
import { InvalidDestination } from './errors.ts'
import type { Frame, StreamPacket } from './frames.ts'

/**
 * Sends a packet from the payer's account. It must settle no later than shortly after `expiresAt`; a throw means that nobody
 * knows what became of the packet.
 */
export type SendPacket = (prepare: IlpPrepare) => Promise<IlpFulfill | IlpReject>

/** Where to pay to: the address and secret of a payment method. */
export type PayTo = Pick<StreamDestination, 'ilpAddress' | 'sharedSecret'>

/** The sender's end of a STREAM connection. */
export interface Connection {
  ilpAddress: string
  keys: ConnectionKeys
  /** Never the same twice, so that no answer can pass for that of another packet. */
  nextSequence(): bigint
}

const SHARED_SECRET = /^[A-Za-z0-9_-]{43}=?$/

/** Throws {@link InvalidDestination}. */
export function openConnection(to: PayTo): Connection {
  if (!isIlpAddress(to.ilpAddress)) throw new InvalidDestination('the destination is not an ILP address')
  if (!SHARED_SECRET.test(to.sharedSecret))
    throw new InvalidDestination(`the shared secret is not ${SHARED_SECRET_LENGTH} bytes of base64url`)
  // A sender that starts again with the same secret begins elsewhere, instead of repeating its sequence.
  let sequence = BigInt(randomBytes(4).readUInt32BE())
  return {
    ilpAddress: to.ilpAddress,
    keys: deriveConnectionKeys(Buffer.from(to.sharedSecret, 'base64url')),
    nextSequence: () => sequence++,
  }
}

export interface PacketRequest {
  amount: bigint
  /** The receiver declines if less arrives. */
  minimumAmount: bigint
  expiresAt: Date
  frames: Frame[]
  /** False: under a random condition, so that nobody can fulfil it and no money moves. */
  fulfillable: boolean
}

export interface PacketAnswer {
  reply: IlpReply
  /** What the receiver itself says: decrypted, for this very packet. Undefined when a connector answered, or a forger. */
  authentic?: StreamPacket
}

/** What makes a packet of one account the packet that it is. */
export type PacketKey = Pick<IlpPrepare, 'executionCondition' | 'expiresAt'>

/** Sends one packet and checks its answer. */
export async function exchangePacket(
  connection: Connection,
  send: SendPacket,
  request: PacketRequest,
): Promise<PacketAnswer & { key: PacketKey }> {
  const { keys } = connection
  const sequence = connection.nextSequence()
  const data = sealStreamPacket(keys.encryption, {
    type: packetType.prepare,
    sequence,
    amount: request.minimumAmount,
    frames: request.frames,
  })
  const fulfillment = fulfillmentOf(keys.fulfillment, data)
  const key = {
    executionCondition: request.fulfillable ? conditionOf(fulfillment) : randomBytes(32),
    expiresAt: request.expiresAt,
  }
  const { ilpAddress: destination } = connection
  const reply = withSender(await send({ ...key, destination, amount: request.amount, data }))
  if (isFulfill(reply) && !(request.fulfillable && reply.fulfillment.equals(fulfillment)))
    return { key, reply: createReject('F05', { triggeredBy: '', message: 'fulfilment of another packet' }) }
  const type = isFulfill(reply) ? packetType.fulfill : packetType.reject
  const inner = openStreamPacket(keys.encryption, reply.data)
  return inner?.type === type && inner.sequence === sequence
    ? { key, reply, authentic: inner }
    : { key, reply }
}

/** Reads the answers to packets for this receiver, and makes no fulfilment. 32 bytes. Throws {@link InvalidDestination}. */
export const answerKeyOf = (to: PayTo): Buffer => openConnection(to).keys.encryption.export()

/** What the receiver says that arrived of a packet that it fulfilled, and at least what the packet demanded: whoever fulfilled got that. */
export function readDelivered(answerKey: Buffer, prepare: IlpPrepare, fulfill: IlpFulfill): bigint {
  const key = createSecretKey(answerKey)
  const asked = openStreamPacket(key, prepare.data)
  const answered = openStreamPacket(key, fulfill.data)
  const isAnswer = asked && answered?.type === packetType.fulfill && answered.sequence === asked.sequence
  return maximum(asked?.amount ?? 0n, isAnswer ? answered.amount : 0n)
}

/** Who rejected goes into the payment's row and to its wallet: an address, and not the 32 KiB that somebody on the path writes there. */
const withSender = (reply: IlpReply): IlpReply =>
  isFulfill(reply) || isIlpAddress(reply.triggeredBy) ? reply : { ...reply, triggeredBy: '' }
