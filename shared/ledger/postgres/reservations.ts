import { type CloseTransfer, type LedgerId, movementOfClose, type PendingTransfer } from '../port.ts'

/** A row of `ledger.holds`: pending transfers that were made together. */
export interface Hold {
  /** Of its first transfer. */
  id: LedgerId
  /** Number of its bits. */
  size: number
}

/** What a pending or closing transfer is about. */
export interface Reserved {
  kind: 'pending' | 'close'
  id: LedgerId
  debitAccountId: LedgerId
  creditAccountId: LedgerId
  ledger: number
  code: number
  amount: bigint
  userData128?: LedgerId
  userData64?: bigint
  userData32?: number
}

/** A pending or closing transfer that was open when it was last seen, and where its state is. */
export interface Reservation extends Reserved {
  hold: Hold
  bit: number
}

/**
 * What this process reserved or found reserved, and has not yet seen posted or voided. Transfers never change, so what is
 * remembered is true; what is missing here (made by another process, or long ago) is looked up in the ledger.
 */
export interface Reservations {
  get(id: LedgerId): Reservation | undefined
  add(transfer: Reserved, hold: Hold, bit: number): void
  remove(id: LedgerId): void
  /** After a lost connection: another server may have taken over, with less than this one had. */
  clear(): void
  /** How often it was cleared. What was asked for before the last time and is answered after it may be the former server's word. */
  cleared(): number
}

/** What an event reserves; a closing transfer nothing, from the settlement account. */
export const reservedBy = (event: PendingTransfer | CloseTransfer): Reserved =>
  event.kind === 'close' ? { ...event, ...movementOfClose(event) } : event

export function createReservations(sizeMax: number): Reservations {
  const known = new Map<LedgerId, Reservation>()
  let cleared = 0
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
    clear() {
      known.clear()
      cleared++
    },
    cleared: () => cleared,
  }
}
