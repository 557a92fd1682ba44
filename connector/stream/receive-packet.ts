import { hash } from 'node:crypto'
import type { ConnectionKeys, Credential, CredentialReader } from '../../shared/stream-credentials/index.ts'
import {
  createReject,
  type IlpErrorCode,
  type IlpFulfill,
  type IlpPrepare,
  type IlpReject,
  packetType,
} from '../packet/index.ts'
import { conditionOf, fulfillmentOf, openStreamPacket, sealStreamPacket } from './encryption.ts'
import { CLOSE_NO_ERROR, type Frame, type StreamPacket } from './frames.ts'
import { dataFrame, dataIn, MONEY_STREAM } from './money-stream.ts'
import { createReceipt } from './receipt.ts'

/**
 * How unfulfillable and below-minimum packets are answered (STREAM_REJECTS): both with F99, which every sender in the field
 * tolerates, or with F05 and F04.
 */
export type StreamRejects = 'F99' | 'F05'

export interface ReceiveInput {
  reader: CredentialReader
  prepare: IlpPrepare
  /** The address under which the packet's account knows this node; default: the reader's. */
  ilpAddress?: string
  rejects: StreamRejects
}

export interface DeclineInput {
  /** Default F99. */
  code?: IlpErrorCode
  /** Tells the sender to stop for good. */
  close?: boolean
  /** Words for the sender, authenticated, as data of stream 1. */
  data?: Buffer
  message?: string
}

interface Acceptable {
  paymentTag?: string
  /** What the sender says beside the money; never empty. */
  data?: Buffer
  decline(input?: DeclineInput): IlpReject
}

/** A packet without money that the sender wants confirmed. */
export interface IncomingNothing extends Acceptable {
  kind: 'fulfill'
  fulfill: IlpFulfill
}

/** Money that the packet would bring. Move it first, then answer: who got a fulfil has paid. */
export interface IncomingMoney extends Acceptable {
  kind: 'money'
  amount: bigint
  /** The sender's least acceptable amount, already met. */
  minimumAmount: bigint
  /**
   * Present when the credentials ask for receipts: add the amount to the total of this connection and give that to `fulfill`.
   * Hex SHA-256 of the destination address.
   */
  receiptConnectionId?: string
  /** With `totalReceived` the answer carries a receipt over it, without it carries none. */
  fulfill(totalReceived?: bigint): IlpFulfill
}

export interface Refused {
  kind: 'reject'
  reject: IlpReject
  /** Fulfillable, with less than the sender wants to arrive: the one reason that depends on the amount. */
  isTooLittle?: true
}

export type StreamDecision = Refused | IncomingNothing | IncomingMoney

/**
 * Decides about a packet for this node in one pass, without I/O and without state of its own (connector.md §8). Whether the
 * packet has expired, and whether the payment still takes money, is for the caller to decide.
 */
export function receiveStreamPacket(input: ReceiveInput): StreamDecision {
  const { reader, prepare } = input
  const token = reader.tokenOf(prepare.destination, input.ilpAddress)
  if (token === undefined) return refuse(reader, 'F02')
  const credential = reader.open(token)
  if (!credential) return refuse(reader, 'F06')
  const request = openStreamPacket(credential.connectionKeys.encryption, prepare.data)
  if (!request) return refuse(reader, 'F06')
  if (request.type !== packetType.prepare) return refuse(reader, 'F00')
  return decide(input, credential, request)
}

const refuse = (reader: CredentialReader, code: IlpErrorCode): StreamDecision => ({
  kind: 'reject',
  reject: createReject(code, { triggeredBy: reader.ilpAddress, message: '' }),
})

function decide(input: ReceiveInput, credential: Credential, request: StreamPacket): StreamDecision {
  const { prepare } = input
  const frames: Frame[] = []
  const replies = createReplies(input, credential.connectionKeys, request, frames)
  if (request.frames.some((frame) => frame.type === 'connectionClose'))
    return { kind: 'reject', reject: replies.reject({ code: 'F99', close: true }) }
  if (credential.asset && request.frames.some((frame) => frame.type === 'connectionNewAddress'))
    frames.push({ type: 'connectionAssetDetails', ...credential.asset })

  const fulfillment = fulfillmentOf(credential.connectionKeys.fulfillment, prepare.data)
  if (!conditionOf(fulfillment).equals(prepare.executionCondition))
    return { kind: 'reject', reject: replies.reject({ code: input.rejects }) }
  // Also of a packet that arrives with nothing: it may have been converted to zero on the way.
  if (prepare.amount < request.amount)
    return {
      kind: 'reject',
      reject: replies.reject({ code: input.rejects === 'F05' ? 'F04' : 'F99' }),
      isTooLittle: true,
    }

  const data = dataIn(request)
  const common = {
    ...(credential.paymentTag !== undefined && { paymentTag: credential.paymentTag }),
    ...(data && data.length > 0 && { data }),
    decline: (declined: DeclineInput = {}) => replies.reject(declined),
  }
  if (prepare.amount === 0n) return { kind: 'fulfill', ...common, fulfill: replies.fulfill(fulfillment) }
  const { receipt } = credential
  return {
    kind: 'money',
    ...common,
    amount: prepare.amount,
    minimumAmount: request.amount,
    ...(receipt && { receiptConnectionId: hash('sha256', prepare.destination, 'hex') }),
    fulfill(totalReceived) {
      if (!receipt || totalReceived === undefined) return replies.fulfill(fulfillment)
      const signed = createReceipt({ ...receipt, streamId: Number(MONEY_STREAM), totalReceived })
      return replies.fulfill(fulfillment, [
        { type: 'streamReceipt', streamId: MONEY_STREAM, receipt: signed },
      ])
    },
  }
}

/** Replies carry the request's sequence, their own type and the amount that arrived, under the connection's key. */
function createReplies(input: ReceiveInput, keys: ConnectionKeys, request: StreamPacket, frames: Frame[]) {
  const seal = (type: number, extra: Frame[]) =>
    sealStreamPacket(keys.encryption, {
      type,
      sequence: request.sequence,
      amount: input.prepare.amount,
      frames: [...frames, ...extra],
    })
  return {
    fulfill: (fulfillment: Buffer, extra: Frame[] = []): IlpFulfill => ({
      fulfillment,
      data: seal(packetType.fulfill, extra),
    }),
    reject({ code = 'F99', close, data, message = '' }: DeclineInput): IlpReject {
      const extra: Frame[] = []
      if (close) extra.push({ type: 'connectionClose', errorCode: CLOSE_NO_ERROR, errorMessage: '' })
      if (data) extra.push(dataFrame(data))
      return { code, triggeredBy: input.reader.ilpAddress, message, data: seal(packetType.reject, extra) }
    },
  }
}
