import { randomUUID } from 'node:crypto'
import { assert } from '../platform/index.ts'
import {
  accountCode,
  isSuccess,
  type Ledger,
  type LedgerId,
  type NewAccount,
  type PendingTransfer,
  type PostedTransfer,
  settlementAccountId,
  type TransferEvent,
  transferCode,
} from './port.ts'

/** What tests find again in a populated ledger. */
export interface PopulatedLedger {
  accounts: LedgerId[]
  /** A deposit, as it was sent. */
  deposit: PostedTransfer
  /** Chains of two posted transfers and of two reservations, as they were sent. */
  chain: TransferEvent[]
  holdChain: TransferEvent[]
  expired: PendingTransfer
  voided: PendingTransfer
  posted: PendingTransfer
  post: TransferEvent
  /** A closed account, what closed it, and the account as it was created. */
  closed: LedgerId
  close: TransferEvent
  closedAccount: NewAccount
  /** An account with money that is open. */
  open: LedgerId
  /** Of an incoming payment: the tag of what it received. */
  payment: LedgerId
}

const LEDGERS = [1, 2, 77]
const AMOUNT_MAX = 2n ** 64n - 1n

/** A bank's ledger for tests: every kind of account on several ledgers, and every way in which a transfer can have ended. */
export async function populateLedger(
  ledger: Ledger,
  passSeconds: (seconds: number) => Promise<void>,
): Promise<PopulatedLedger> {
  const accounts: LedgerId[] = []
  const create = async (events: NewAccount[]) => {
    const statuses = await ledger.createAccounts(events)
    assert(statuses.every(isSuccess), 'test accounts are created', statuses)
    accounts.push(...events.map(({ id }) => id))
  }
  const send = async (...events: TransferEvent[]) => {
    const statuses = await ledger.createTransfers(events)
    assert(statuses.every(isSuccess), 'test transfers are created', statuses)
    return events
  }
  const account = (number: number, code: number): NewAccount => ({
    id: randomUUID(),
    ledger: number,
    code,
    debitsMustNotExceedCredits: true,
    userData128: randomUUID(),
    userData64: AMOUNT_MAX - BigInt(code),
    userData32: 2 ** 32 - 1 - code,
  })
  const posted = (
    debitAccountId: LedgerId,
    creditAccountId: LedgerId,
    amount: bigint,
    fields: Partial<PostedTransfer> = {},
  ): PostedTransfer => ({
    kind: 'posted',
    id: randomUUID(),
    debitAccountId,
    creditAccountId,
    ledger: 1,
    code: transferCode.transfer,
    amount,
    userData128: randomUUID(),
    userData64: AMOUNT_MAX,
    userData32: 9,
    ...fields,
  })

  const assets = new Map<number, LedgerId>()
  for (const number of LEDGERS) {
    const asset = account(number, accountCode.assetLiquidity)
    const settlement: NewAccount = {
      id: settlementAccountId(number),
      ledger: number,
      code: accountCode.settlement,
      creditsMustNotExceedDebits: true,
      userData128: asset.id,
    }
    await create([{ ...asset, linked: true }, settlement])
    assets.set(number, asset.id)
    const deposit = { ledger: number, code: transferCode.deposit }
    await send(
      posted(settlement.id, asset.id, AMOUNT_MAX, deposit),
      posted(settlement.id, asset.id, AMOUNT_MAX, deposit),
    )
  }
  const [asset, other] = [assets.get(1) as LedgerId, assets.get(2) as LedgerId]
  const peer = account(1, accountCode.peer)
  const outgoing = account(1, accountCode.outgoingPayment)
  const incoming = account(2, accountCode.incomingPayment)
  const web = account(1, accountCode.webMonetization)
  const later = account(1, accountCode.incomingPayment)
  await create([peer, outgoing, incoming, web, later])

  const deposit = posted(settlementAccountId(1), outgoing.id, 1000n, { code: transferCode.deposit })
  await send(deposit, posted(settlementAccountId(1), peer.id, 500n, { code: transferCode.deposit }))
  // Tags of zero are taken from what is posted or voided.
  const hold = (amount: bigint, fields: Partial<PendingTransfer> = {}): PendingTransfer => ({
    ...posted(outgoing.id, peer.id, amount),
    kind: 'pending',
    timeoutSeconds: 30,
    ...fields,
  })
  const [postedHold, partly, voided] = [hold(100n), hold(100n), hold(100n)]
  const whole: TransferEvent = { kind: 'post', id: randomUUID(), pendingId: postedHold.id }
  await send(postedHold, partly, voided)
  await send(whole, { kind: 'post', id: randomUUID(), pendingId: partly.id, amount: 60n, userData32: 4 })
  await send({ kind: 'void', id: randomUUID(), pendingId: voided.id })
  const holdChain = await send(
    { ...hold(40n), linked: true },
    hold(30n, { debitAccountId: other, creditAccountId: incoming.id, ledger: 2 }),
  )
  await send(
    { kind: 'post', id: randomUUID(), pendingId: holdChain[0]?.id as string, linked: true },
    { kind: 'post', id: randomUUID(), pendingId: holdChain[1]?.id as string },
  )
  const payment = randomUUID()
  const chain = await send(
    posted(outgoing.id, asset, 7n, { linked: true, userData128: payment }),
    posted(other, incoming.id, 8n, { ledger: 2, userData128: payment }),
  )
  // All that is left is reserved, runs out, and can be spent again only because it has.
  const expired = hold(793n)
  await send(expired)
  await passSeconds(31)
  await send(posted(outgoing.id, web.id, 793n))
  const unswept = hold(1n, { debitAccountId: web.id })
  await send(unswept)
  await passSeconds(31)
  const close: TransferEvent = {
    kind: 'close',
    id: randomUUID(),
    accountId: incoming.id,
    ledger: 2,
    code: transferCode.transfer,
  }
  const reopened: TransferEvent = { ...close, id: randomUUID(), accountId: web.id, ledger: 1 }
  await send(close, reopened)
  await send({ kind: 'void', id: randomUUID(), pendingId: reopened.id })
  return {
    accounts,
    deposit,
    chain,
    holdChain,
    expired,
    voided,
    posted: postedHold,
    post: whole,
    closed: incoming.id,
    close,
    closedAccount: incoming,
    open: web.id,
    payment,
  }
}
