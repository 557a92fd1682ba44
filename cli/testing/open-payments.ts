import assert from 'node:assert/strict'
import { generateKeyPairSync, hash, type KeyObject, randomBytes } from 'node:crypto'
import {
  type AuthenticatedClient,
  createAuthenticatedClient,
  type Grant,
  type GrantRequest,
  isFinalizedGrantWithAccessToken,
  isPendingGrant,
  type PendingGrant,
} from '@interledger/open-payments'
import { createFormBrowser, type FormBrowser, type Page } from '../../examples/form-browser.ts'
import { startTestHttpServer } from '../../shared/testing/index.ts'
import { seedCustomer } from '../seed.ts'
import type { TwoBanks } from '../two-banks.ts'

export type Access = NonNullable<GrantRequest['access_token']>['access'][number]
type Subject = NonNullable<GrantRequest['subject']>

export const idIn = (url: string): string => url.slice(-36)
export const eur = (value: string) => ({ value, assetCode: 'EUR', assetScale: 2 })
export const usd = (value: string) => ({ value, assetCode: 'USD', assetScale: 2 })

/** The official client, its own checks of every answer on. It waits longer than the 5 s of its own for a machine that is busy. */
export const officialClient = (identity: {
  walletAddressUrl: string
  privateKey: KeyObject
  keyId: string
}): Promise<AuthenticatedClient> =>
  createAuthenticatedClient({ ...identity, useHttp: true, logLevel: 'silent', requestTimeoutMs: 60_000 })

/** A third party with an account at bank B in EUR, and a key that only it has. */
export async function openShop(
  banks: TwoBanks,
  name = 'shop',
): Promise<{ client: AuthenticatedClient; address: string; privateKey: KeyObject; keyId: string }> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const customer = { name, publicName: `The ${name}`, assetCode: 'EUR' }
  const { address, keyId } = await seedCustomer(
    banks.b,
    customer,
    banks.seeded.b.assets.EUR ?? '',
    privateKey,
  )
  const client = await officialClient({ walletAddressUrl: address, privateKey, keyId })
  return { client, address, privateKey, keyId }
}

/** The token of a grant that is final. */
export function tokenOf(grant: Grant | PendingGrant | { continue: Grant['continue'] }) {
  assert.ok(!isPendingGrant(grant as Grant) && isFinalizedGrantWithAccessToken(grant), 'a final grant')
  return grant.access_token
}

/** A grant that needs nobody's consent. */
export const grantFor = (client: AuthenticatedClient, authServer: string, ...access: Access[]) =>
  client.grant.request({ url: authServer }, { access_token: { access } })

/** A grant that a person has yet to decide on. */
export interface Asked {
  grant: PendingGrant
  /** What the client made the hash of later. */
  nonce: string
  authServer: string
  /** When it may be continued. */
  continueFrom: number
}

/** Where clients have browsers sent back to, and where people open their browsers. */
export interface Consent {
  ask(
    client: AuthenticatedClient,
    authServer: string,
    wants: { access?: Access[]; subject?: Subject; withoutFinish?: boolean },
  ): Promise<Asked>
  /** A person opens the address and presses a button; the page where that ends. */
  decide(asked: Asked, choice: 'accept' | 'reject', browser?: FormBrowser): Promise<Page>
  /** All of it, up to the token. */
  token(client: AuthenticatedClient, authServer: string, ...access: Access[]): ReturnType<typeof continued>
  close(): Promise<void>
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
/** Until the client may continue; the authorization server's clock is this one. */
export const patience = ({ continueFrom }: Asked) => wait(Math.max(0, continueFrom - Date.now()))

/** The reference that came back, if the hash is right (contracts/open-payments/gnap.md §4). */
export function referenceIn(page: Page, { grant, nonce, authServer }: Asked): string {
  const { searchParams } = new URL(page.url)
  const reference = searchParams.get('interact_ref')
  assert.ok(reference, `no reference: ${page.url}`)
  const covered = [nonce, grant.interact.finish, reference, authServer].join('\n')
  assert.equal(searchParams.get('hash'), hash('sha256', covered, 'base64'))
  return reference
}

/** What a client does when its browser is back. */
export async function continued(client: AuthenticatedClient, asked: Asked, page: Page) {
  await patience(asked)
  const { uri: url, access_token: accessToken } = asked.grant.continue
  const grant = await client.grant.continue(
    { url, accessToken: accessToken.value },
    { interact_ref: referenceIn(page, asked) },
  )
  return { ...tokenOf(grant), continue: grant.continue }
}

export async function startConsent(): Promise<Consent> {
  const server = await startTestHttpServer(() => ({ body: 'back' }))
  const consent: Consent = {
    async ask(client, authServer, { access, subject, withoutFinish }) {
      const nonce = randomBytes(16).toString('hex')
      const finish = { method: 'redirect' as const, uri: `${server.url}/back?order=7`, nonce }
      const grant = await client.grant.request({ url: authServer }, {
        ...(access && { access_token: { access } }),
        ...(subject && { subject }),
        interact: { start: ['redirect'], ...(!withoutFinish && { finish }) },
      } as Omit<GrantRequest, 'client'>)
      assert.ok(isPendingGrant(grant), 'a person has to agree')
      const continueFrom = Date.now() + (grant.continue.wait ?? 0) * 1000
      return { grant, nonce, authServer, continueFrom }
    },
    async decide({ grant }, choice, browser = createFormBrowser()) {
      const page = await browser.visit(grant.interact.redirect)
      assert.equal(page.status, 200, page.text)
      return await browser.press(page, choice)
    },
    async token(client, authServer, ...access) {
      const asked = await consent.ask(client, authServer, { access })
      return await continued(client, asked, await consent.decide(asked, 'accept'))
    },
    close: () => server.close(),
  }
  return consent
}
