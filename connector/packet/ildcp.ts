import { hash } from 'node:crypto'
import type { Asset } from '../../shared/money/index.ts'
import { writeVarOctets } from './envelope.ts'
import type { IlpFulfill, IlpPrepare } from './model.ts'

/** Where a peer asks what it is here (RFC 31). */
export const ILDCP_DESTINATION = 'peer.config'

/** Everybody knows it: nothing is paid for. */
const FULFILLMENT = Buffer.alloc(32)
const CONDITION = hash('sha256', FULFILLMENT, 'buffer')

export const isIldcpCondition = (condition: Buffer): boolean => condition.equals(CONDITION)

/** What the other side answers without money and without a trace, whatever it is. */
export const ildcpQuestion = (expiresAt: Date): IlpPrepare => ({
  amount: 0n,
  destination: ILDCP_DESTINATION,
  executionCondition: CONDITION,
  expiresAt,
  data: Buffer.alloc(0),
})

/** What a peer is here: its address, and the asset of its account. */
export interface PeerConfiguration extends Asset {
  clientAddress: string
}

export const ildcpFulfill = ({ clientAddress, assetCode, assetScale }: PeerConfiguration): IlpFulfill => ({
  fulfillment: FULFILLMENT,
  data: Buffer.concat([
    writeVarOctets(Buffer.from(clientAddress, 'ascii')),
    Buffer.of(assetScale),
    writeVarOctets(Buffer.from(assetCode, 'utf8')),
  ]),
})
