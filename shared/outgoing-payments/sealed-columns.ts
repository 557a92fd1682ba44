import type { SealedColumn } from '../platform/index.ts'
import { dataToTransmitPlace } from './data-to-transmit.ts'
import { answerKeyPlace } from './kept-packets.ts'

export const sealedPaymentColumns: readonly SealedColumn[] = [
  {
    table: 'outgoing_payments',
    column: 'data_to_transmit_sealed',
    key: 'id',
    keyType: 'uuid',
    place: (row) => dataToTransmitPlace(row.id),
  },
  {
    table: 'kept_packets',
    column: 'answer_key_sealed',
    key: 'id',
    keyType: 'uuid',
    place: (row) => answerKeyPlace(row.id),
  },
]
