import type { Bank } from './bank.ts'
import type { TwoBanks } from './two-banks.ts'

const bankAddresses = (bank: Bank): string => {
  const { ports, operatorTenantId } = bank.settings
  return [
    `${bank.environment.INSTANCE_NAME}`,
    `  Admin GraphQL         http://localhost:${ports.admin}/graphql   tenant-id ${operatorTenantId}`,
    `  Open Payments         http://localhost:${ports.openPayments}   (public ids: ${bank.environment.OPEN_PAYMENTS_URL})`,
    `  authorization server  http://localhost:${ports.auth}`,
    `  ILP connector         http://localhost:${ports.connector}   ${bank.environment.ILP_ADDRESS}`,
    `  mock wallet           http://localhost:${ports.wallet}   /webhooks /rates`,
  ].join('\n')
}

/** Where everything listens. */
export const addressesOf = (banks: TwoBanks): string =>
  [bankAddresses(banks.a), '', bankAddresses(banks.b), ''].join('\n')

/** Something to type next; plain http on the same host and port serves the https ids in development. */
export function nextThingsToTry(banks: TwoBanks): string {
  const bob = banks.side('b', 'bob').walletAddress.address.replace('https://', 'http://')
  return [
    'Try next:',
    `  curl -H 'accept: application/json' ${bob}`,
    `  curl ${bob}/jwks.json`,
    '  npm start -- --once     in another terminal, after Ctrl-C: the same payment again, then the end',
    '',
  ].join('\n')
}
