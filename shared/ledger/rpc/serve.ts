import type { LedgerMethod } from '../../connector-client/index.ts'
import type { Ledger } from '../port.ts'
import { parseFilter, parseIds, parseNewAccounts, parseTransferEvents, toWire } from './wire.ts'

/** Carries out one call of {@link createRpcLedger}'s other end. Throws `MalformedRpc`, and the ledger's faults. */
export async function serveLedgerCall(
  ledger: Ledger,
  method: LedgerMethod,
  params: unknown,
): Promise<unknown> {
  switch (method) {
    case 'createAccounts':
      return await ledger.createAccounts(parseNewAccounts(params))
    case 'createTransfers':
    case 'createTransfersWithAccounts':
      return await ledger.createTransfers(parseTransferEvents(params))
    case 'lookupAccounts':
      return toWire(await ledger.lookupAccounts(parseIds(params)))
    case 'lookupTransfers':
      return toWire(await ledger.lookupTransfers(parseIds(params)))
    case 'queryTransfers':
      return toWire(await ledger.queryTransfers(parseFilter(params)))
  }
}
