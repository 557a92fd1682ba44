import { FolderInUse } from '../shared/embedded-postgres/index.ts'
import { messageOf } from '../shared/platform/index.ts'
import type { Bank } from './bank.ts'
import { type ExampleClient, exampleCommand } from './example-client.ts'
import { dataArgument, projectFolder } from './options.ts'
import { formatAmount, type PaymentOutcome, type Step } from './payment.ts'
import type { TwoBanks } from './two-banks.ts'

export const line = (text = '') => process.stdout.write(`${text}\n`)

/** Prints each step as it ends; a step that fails says which it was. */
export const step: Step = async (name, work, describe) => {
  const startedAt = performance.now()
  try {
    const result = await work()
    line(`  ${(performance.now() - startedAt).toFixed(0).padStart(6)} ms  ${name}`)
    const detail = describe?.(result)
    if (detail) line(`             ${detail}`)
    return result
  } catch (error) {
    throw new Error(`${name}\n  ${explain(error)}`, { cause: error })
  }
}

/** The reason, and what to do about it where that is known. */
function explain(error: unknown): string {
  const { code, port } = error as { code?: unknown; port?: unknown }
  if (error instanceof FolderInUse)
    return `${error.message}: it is in use by another npm start or npm run audit. Stop that one first (Ctrl-C)`
  if (code === 'migration_mismatch')
    return `${messageOf(error)}. Data of another version: delete .data to start afresh, or go back to the version that made it`
  if (code === 'EADDRINUSE')
    return `${messageOf(error)}. The banks keep their ports, which are part of their URLs: free port ${String(port)}, or delete .data to start afresh on others`
  return messageOf(error)
}

/** What the payment did to both customers. */
export const summaryOf = ({ outgoing, refundable, received }: PaymentOutcome): string =>
  [
    `  Alice  agreed to ${formatAmount(outgoing.debitAmount)} at most: ${formatAmount(outgoing.sentAmount)} went to bank B,`,
    `         ${formatAmount({ ...outgoing.debitAmount, value: refundable.toString() })} (fee and unused slippage) back to her wallet`,
    `  Bob    received ${received ? formatAmount(received) : 'nothing yet'}`,
  ].join('\n')

const bankAddresses = (bank: Bank): string => {
  const { ports, operatorTenantId } = bank.settings
  return [
    `${bank.environment.INSTANCE_NAME}`,
    `  Admin GraphQL         http://localhost:${ports.admin}/graphql   tenant-id ${operatorTenantId}`,
    `  Open Payments         http://localhost:${ports.openPayments}   (public ids: ${bank.environment.OPEN_PAYMENTS_URL})`,
    `  authorization server  http://localhost:${ports.auth}`,
    `  ILP connector         http://localhost:${ports.connector}   ${bank.environment.ILP_ADDRESS}`,
    `  mock wallet           http://localhost:${ports.wallet}   /webhooks /rates /consent`,
  ].join('\n')
}

/** Where everything listens. */
export const addressesOf = (banks: TwoBanks): string =>
  [bankAddresses(banks.a), '', bankAddresses(banks.b), ''].join('\n')

const exampleLines = (banks: TwoBanks, client: ExampleClient): string =>
  exampleCommand(banks, client, projectFolder)
    .split('\n')
    .map((text) => `  ${text}`)
    .join('\n')

/** Something to paste; plain http on the same host and port serves the https ids in development. */
export function nextThingsToTry(
  banks: TwoBanks,
  client: ExampleClient,
  outcome: PaymentOutcome,
  dataFolder: string,
): string {
  const overHttp = (id: string) => id.replace('https://', 'http://')
  const bob = overHttp(banks.side('b', 'bob').walletAddress.address)
  return [
    'Try next, in another terminal:',
    '',
    '  # what the public sees of the payment to Bob: the amount that arrived',
    `  curl -sw '\\n' ${overHttp(outcome.receiverUrl)}`,
    "  # Bob's wallet address, and the keys his clients sign with",
    `  curl -sw '\\n' -H 'accept: application/json' ${bob}`,
    `  curl -sw '\\n' ${bob}/jwks.json`,
    '  # a shop that is paid by Alice: it prints an address to open in a browser, where you accept or reject (--approve: without a browser)',
    exampleLines(banks, client),
    "  # both banks' books, checked while they run",
    `  npm run audit${dataArgument(dataFolder)}`,
    '',
    'Ctrl-C stops everything, PostgreSQL included. The next npm start goes on with the same data.',
  ].join('\n')
}

/** What is left to do when the banks do not stay. */
export const nextAfterOnce = (banks: TwoBanks, client: ExampleClient): string =>
  [
    'Try next: npm start, without --once, keeps the banks running. Then, in another terminal, a shop that is paid by Alice:',
    '',
    exampleLines(banks, client),
  ].join('\n')
