import { LiquidityRefusal } from '../../../shared/assets/index.ts'
import { InvalidInput, parseId } from '../../../shared/graphql-server/index.ts'
import { isChosenId } from '../../../shared/ledger/index.ts'
import { type Amount, InvalidAmount, parseAmount } from '../../../shared/money/index.ts'

const TIMEOUT_SECONDS_MAX = 2n ** 31n - 1n

/** Seconds of a two-phase withdrawal; 0 is single-phase. */
export function parseTimeout(value: bigint | undefined): number {
  if (value === undefined) return 0
  if (value > TIMEOUT_SECONDS_MAX) throw new InvalidInput('timeoutSeconds is too large')
  return Number(value)
}

/** What a wallet calls a deposit or withdrawal. Ids that the node derives for its own transfers are not for wallets to take. */
export function parseTransferId(value: string): string {
  const id = parseId(value, 'id')
  if (!isChosenId(id))
    throw new LiquidityRefusal('invalid_transfer_id', { message: 'id must be a UUID of RFC 9562' })
  return id
}

export function parseDate(value: string, name: string): Date {
  const date = new Date(value)
  // ISO 8601 with a time zone, as every timestamp of this API.
  if (
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(value) ||
    Number.isNaN(date.getTime())
  )
    throw new InvalidInput(`${name} must be an ISO 8601 timestamp`)
  return date
}

/** A filter of one field. Where nothing else is said, only `in` counts (admin-api.md §5). */
export interface FilterString {
  in?: string[] | null
  notIn?: string[] | null
}

/** An empty list filters nothing, as an absent one. */
export const included = (filter: FilterString | null | undefined): string[] | undefined =>
  filter?.in?.length ? filter.in : undefined

export interface AmountInput {
  value: bigint
  assetCode: string
  assetScale: number
}

export function parseAmountInput(input: AmountInput | null | undefined): Amount | undefined {
  if (input == null) return undefined
  if (input.assetCode === '') throw new InvalidAmount('assetCode must not be empty')
  return parseAmount({ ...input, value: input.value.toString() })
}

/** The answer of mutations that have nothing else to tell. */
export const succeeded = { success: true } as const
