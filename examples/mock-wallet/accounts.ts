/** A customer's money, in smallest units. What is held for payments under way is still in `balance`. */
export interface Account {
  balance: bigint
  held: bigint
}

export interface Accounts {
  get(walletAddressId: string): Account
  /** Sets money aside for a payment, once however often it is asked, and not after it was settled. False: not enough. */
  hold(walletAddressId: string, paymentId: string, amount: bigint): boolean
  /** Ends a hold without a payment. */
  release(walletAddressId: string, paymentId: string): void
  /** Ends a hold and takes what the payment cost; the rest is free again. */
  settle(walletAddressId: string, paymentId: string, cost: bigint): void
  credit(walletAddressId: string, amount: bigint): void
}

/**
 * The customers' side of the books. A wallet keeps this in its database and changes it in the transaction that marks the event
 * as handled; here it is memory, and every customer starts out with `openingBalance`.
 */
export function createAccounts(openingBalance: bigint): Accounts {
  const accounts = new Map<string, { balance: bigint; holds: Map<string, bigint> }>()
  const settled = new Set<string>()
  const open = (walletAddressId: string) => {
    const known = accounts.get(walletAddressId)
    if (known) return known
    const opened = { balance: openingBalance, holds: new Map<string, bigint>() }
    accounts.set(walletAddressId, opened)
    return opened
  }
  const heldOf = (holds: ReadonlyMap<string, bigint>) =>
    [...holds.values()].reduce((sum, held) => sum + held, 0n)

  return {
    get(walletAddressId) {
      const { balance, holds } = open(walletAddressId)
      return { balance, held: heldOf(holds) }
    },
    hold(walletAddressId, paymentId, amount) {
      const { balance, holds } = open(walletAddressId)
      // A created event whose answer got lost comes again, maybe behind the end: nothing would end a hold made then.
      if (holds.has(paymentId) || settled.has(paymentId)) return true
      if (balance - heldOf(holds) < amount) return false
      holds.set(paymentId, amount)
      return true
    },
    release(walletAddressId, paymentId) {
      open(walletAddressId).holds.delete(paymentId)
    },
    settle(walletAddressId, paymentId, cost) {
      const account = open(walletAddressId)
      account.holds.delete(paymentId)
      account.balance -= cost
      settled.add(paymentId)
    },
    credit(walletAddressId, amount) {
      open(walletAddressId).balance += amount
    },
  }
}
