import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { keyFile } from './bank-settings.ts'
import { type SeededCustomer, seedCustomer } from './seed.ts'
import type { TwoBanks } from './two-banks.ts'

/** A third party with an account at bank B and a key of its own, which no bank has. */
export interface ExampleClient extends SeededCustomer {
  keyFile: string
}

const shop = { name: 'shop', publicName: 'Corner Shop', assetCode: 'EUR' }

/** Opens the shop's account at bank B; its private key stays in `file`, made at the first start. */
export async function seedExampleClient(banks: TwoBanks, file: string): Promise<ExampleClient> {
  const key = createPrivateKey(await readFile(await keyFile(file)))
  const assetId = banks.seeded.b.assets[shop.assetCode]
  if (!assetId) throw new Error(`bank B has no ${shop.assetCode}`)
  return { ...(await seedCustomer(banks.b, shop, assetId, key)), keyFile: file }
}

/** What a person types to have Alice pay the shop. Run in `folder`. */
export function exampleCommand(banks: TwoBanks, client: ExampleClient, folder: string): string {
  const { address: payer } = banks.side('a', 'alice').walletAddress
  return [
    'node_modules/.bin/node examples/open-payments-client.ts',
    `    --client ${client.address} --key-id ${client.keyId} --key ${relative(folder, client.keyFile)}`,
    `    --from ${payer} --amount 5.00`,
  ].join(' \\\n')
}
