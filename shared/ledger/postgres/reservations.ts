import type { LedgerId, PendingTransfer } from '../port.ts'

/** A row of `ledger.holds`: pending transfers that were made together. */
export interface Hold {
  /** Of its first transfer. */
  id: LedgerId
  /** Number of its bits. */
  size: number
}

/** A pending transfer that this process made, and where its state is. */
export interface Reservation extends PendingTransfer {
  hold: Hold
  bit: number
}

/**
 * What this process reserved and has not yet seen posted or voided. Transfers never change, so what is remembered is true;
 * what is missing here (made by another process, or long ago) is looked up in the ledger.
 */
export interface Reservations {
  get(id: LedgerId): Reservation | undefined
  add(transfer: PendingTransfer, hold: Hold, bit: number): void
  remove(id: LedgerId): void
  /** After a lost connection: another server may have taken over, with less than this one had. */
  clear(): void
}

export function createReservations(sizeMax: number): Reservations {
  const known = new Map<LedgerId, Reservation>()
  return {
    get: (id) => known.get(id),
    add(transfer, hold, bit) {
      if (known.size >= sizeMax) {
        const oldest = known.keys().next()
        if (!oldest.done) known.delete(oldest.value)
      }
      // A copy: the caller's object stays the caller's.
      known.set(transfer.id, { ...transfer, hold, bit })
    },
    remove: (id) => void known.delete(id),
    clear: () => known.clear(),
  }
}
