import { createDb } from '../../shared/platform/index.ts'
import { noMovements, readMovements, readPeers } from '../audit/books.ts'

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

/** What A owes B by A's books, and by B's, over all assets in which they are peered: what packets moved. */
export async function peerTotals(
  databases: Record<'a' | 'b', { resources: string }>,
): Promise<{ owes: bigint; isOwed: bigint }> {
  const netOf = async (name: 'a' | 'b') => {
    const db = createDb({ connectionString: databases[name].resources, poolSizeMax: 1 })
    try {
      const movements = await readMovements(db)
      return (await readPeers(db))
        .map(({ id }) => movements.get(id) ?? noMovements)
        .reduce((sum, { packetCredits, packetDebits }) => sum + packetCredits - packetDebits, 0n)
    } finally {
      await db.close()
    }
  }
  return { owes: await netOf('a'), isOwed: -(await netOf('b')) }
}
