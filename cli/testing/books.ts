import { createDb } from '../../shared/platform/index.ts'
import { noMovements, readMovements } from '../audit/books.ts'

/** How many packets of an outgoing payment the ledger posted. */
export async function packetCounts(
  connectionString: string,
  outgoingPaymentId: string,
): Promise<{ fulfilled: number }> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  try {
    const movements = await readMovements(db)
    return { fulfilled: (movements.get(outgoingPaymentId) ?? noMovements).packetDebitCount }
  } finally {
    await db.close()
  }
}
