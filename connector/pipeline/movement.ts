import {
  deriveTransferId,
  type LedgerId,
  type NewAccount,
  type PostedTransfer,
  type TransferEvent,
  tenantSurrogate,
  transferCode,
} from '../../shared/ledger/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import type { IdentifiedPacket, IncomingPacket } from './model.ts'

/** Why a packet's transfer was made (`user_data_32`). */
export const transferReason = {
  forwarded: 1,
  delivered: 2,
  /** Recorded after the hold was gone. */
  late: 3,
  /** Paid by the node itself, because the payer's account could not any more. */
  covered: 4,
} as const

/** Where a packet's money goes. */
export interface Destination {
  accountId: LedgerId
  asset: LedgerAsset
  amount: bigint
  /** The account, where it may be missing: it is made with the movement. */
  newAccount?: NewAccount
}

/** One line of a movement: both accounts are on one ledger. */
export interface Leg {
  name: 'source' | 'destination'
  debitAccountId: LedgerId
  creditAccountId: LedgerId
  ledger: number
  amount: bigint
  needs?: readonly NewAccount[]
}

/**
 * What moves when a packet is fulfilled (accounting.md §2). Within one asset: from account to account, the same amount. Across
 * assets: the node's liquidity account takes the source amount on one ledger and gives the destination amount on the other.
 */
export function legsOf(packet: IdentifiedPacket, destination: Destination): Leg[] {
  const { account, prepare } = packet
  const needed = destination.newAccount && { needs: [destination.newAccount] }
  if (account.asset.ledger === destination.asset.ledger)
    return [
      {
        name: 'source',
        debitAccountId: account.id,
        creditAccountId: destination.accountId,
        ledger: account.asset.ledger,
        amount: prepare.amount,
        ...needed,
      },
    ]
  return [
    {
      name: 'source',
      debitAccountId: account.id,
      creditAccountId: account.asset.id,
      ledger: account.asset.ledger,
      amount: prepare.amount,
    },
    {
      name: 'destination',
      debitAccountId: destination.asset.id,
      creditAccountId: destination.accountId,
      ledger: destination.asset.ledger,
      amount: destination.amount,
      ...needed,
    },
  ]
}

/** What is done with a leg. Each step of a packet has ids of its own. */
export type Step = 'move' | 'post' | 'void' | 'late'

export interface PacketIdentity {
  account: Pick<IncomingPacket['account'], 'id'>
  prepare: Pick<IncomingPacket['prepare'], 'expiresAt'>
}

/** Account, condition and expiry make a packet; its first transfer has this id. */
export const packetIdOf = (packet: PacketIdentity, conditionHex: string): LedgerId =>
  deriveTransferId('packet', packet.account.id, conditionHex, packet.prepare.expiresAt.getTime(), 'source')

/** The id of a packet's transfer: it follows from what makes the packet the same packet, so a repeat is the same transfer. */
export const transferId = (packet: IdentifiedPacket, leg: Leg['name'], step: Step): LedgerId =>
  step === 'move' && leg === 'source'
    ? packet.packetId
    : deriveTransferId(
        'packet',
        packet.account.id,
        packet.conditionHex,
        packet.prepare.expiresAt.getTime(),
        step === 'move' ? leg : `${leg} ${step}`,
      )

/** Of the transfer by which the node pays the next hop itself. */
export const coverId = (packet: IdentifiedPacket): LedgerId =>
  deriveTransferId('packet covered', packet.packetId)

const fieldsOf = (packet: IdentifiedPacket, about: LedgerId, reason: number) => ({
  code: transferCode.transfer,
  userData128: about,
  userData64: tenantSurrogate(packet.account.tenantId),
  userData32: reason,
})

type TransferIdOf = (leg: Leg['name']) => LedgerId

interface MovementInput {
  packet: IdentifiedPacket
  legs: readonly Leg[]
  idOf: TransferIdOf
  /** Payment or peer that the movement belongs to. */
  about: LedgerId
  reason: number
}

/** The legs as one chain of posted transfers. */
export const postedChain = ({ packet, legs, idOf, about, reason }: MovementInput): PostedTransfer[] =>
  legs.map((leg, index) => ({
    kind: 'posted',
    id: idOf(leg.name),
    debitAccountId: leg.debitAccountId,
    creditAccountId: leg.creditAccountId,
    ledger: leg.ledger,
    amount: leg.amount,
    ...(leg.needs && { needs: leg.needs }),
    ...fieldsOf(packet, about, reason),
    ...(index < legs.length - 1 && { linked: true }),
  }))

/** The legs as one chain of pending transfers. */
export const pendingChain = (input: MovementInput & { timeoutSeconds: number }): TransferEvent[] =>
  postedChain(input).map((transfer) => ({
    ...transfer,
    kind: 'pending',
    timeoutSeconds: input.timeoutSeconds,
  }))

/** Posts or voids a chain made by {@link pendingChain}. */
export const resolutionChain = (
  packet: IdentifiedPacket,
  legs: readonly Leg[],
  kind: 'post' | 'void',
): TransferEvent[] =>
  legs.map((leg, index) => ({
    kind,
    id: transferId(packet, leg.name, kind),
    pendingId: transferId(packet, leg.name, 'move'),
    ...(index < legs.length - 1 && { linked: true }),
  }))
