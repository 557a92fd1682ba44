import { InvalidInput, parseId } from '../../../shared/graphql-server/index.ts'
import { type Transfer, transferCode } from '../../../shared/ledger/index.ts'
import { listAccountTransfers } from '../../../shared/outgoing-payments/index.ts'
import { anyOrOwn, type ResolverMap } from './resolver.ts'

const LIMIT_DEFAULT = 20
const LIMIT_MAX = 1_000
const LEDGER_MAX = 2 ** 31 - 1

/** What became of it. Money that was held and has run out is as free as if it had been voided. */
const stateOf = ({ state }: Transfer) => {
  if (state === undefined || state === 'posted') return 'POSTED'
  return state === 'pending' ? 'PENDING' : 'VOIDED'
}

function typeOf({ code }: Transfer) {
  if (code === transferCode.deposit) return 'DEPOSIT'
  return code === transferCode.withdrawal ? 'WITHDRAWAL' : 'TRANSFER'
}

const toTransfer = (transfer: Transfer) => ({
  id: transfer.id,
  debitAccountId: transfer.debitAccountId,
  creditAccountId: transfer.creditAccountId,
  amount: transfer.amount.toString(),
  transferType: typeOf(transfer),
  ledger: transfer.ledger,
  state: stateOf(transfer),
  createdAt: transfer.createdAt.toISOString(),
  expiresAt: transfer.expiresAt?.toISOString(),
})

/** A resource's id, or the number of a ledger, which names its settlement account. */
function parseAccount(id: string): string | number {
  if (!/^\d{1,10}$/.test(id)) return parseId(id, 'id')
  const ledger = Number(id)
  if (ledger === 0 || ledger > LEDGER_MAX)
    throw new InvalidInput('id must be a UUID or the number of a ledger')
  return ledger
}

/** 0 means the default, as for pages. */
function parseLimit(limit: number | null | undefined): number {
  if (limit == null || limit === 0) return LIMIT_DEFAULT
  if (limit < 0 || limit > LIMIT_MAX) throw new InvalidInput(`limit must be from 1 to ${LIMIT_MAX}`)
  return limit
}

export const accountingTransferResolvers: ResolverMap = {
  Query: {
    accountingTransfers: async (_source, args: { id: string; limit?: number | null }, ctx) => {
      const input = { account: parseAccount(args.id), limit: parseLimit(args.limit) }
      const { debits, credits } = await listAccountTransfers(ctx.node, anyOrOwn(ctx), input)
      return { debits: debits.map(toTransfer), credits: credits.map(toTransfer) }
    },
  },
}
