/** For tests only: people who are asked, their browsers and their identity provider. */
import assert from 'node:assert/strict'
import type { Answer, Browser, TestAuth, TestClient } from './harness.ts'

export const outgoing = {
  type: 'outgoing-payment',
  actions: ['create', 'read'],
  identifier: 'https://bank.example/alice',
}
export const subject = { sub_ids: [{ id: 'https://bank.example/alice', format: 'uri' }] }
export const finishUri = 'https://shop.example/return?cart=7'
export const clientNonce = 'the-nonce-of-the-client'
export const withFinish = {
  start: ['redirect'],
  finish: { method: 'redirect', uri: finishUri, nonce: clientNonce },
}
export const withoutFinish = { start: ['redirect'] }

/** An interactive grant as its client knows it. */
export interface OpenGrant {
  client: TestClient
  redirect: string
  /** The server's nonce. */
  finish: string
  id: string
  /** `/{id}/{nonce}` */
  path: string
  uri: string
  token: string
}

export function isRefusal(answer: Answer, status: number, code: string, description: string): void {
  assert.equal(answer.status, status, answer.text)
  assert.deepEqual(answer.json, { error: { code, description } })
}

export function redirectOf(answer: Answer): URL {
  assert.equal(answer.status, 302, answer.text)
  return new URL(String(answer.headers.location))
}

export const queryOf = (answer: Answer): Record<string, string> =>
  Object.fromEntries(redirectOf(answer).searchParams)

/** What a test does again and again, at one server. */
export function consentsAt(auth: TestAuth) {
  const finishOf = (grant: OpenGrant) => `${auth.url}/interact${grant.path}/finish`

  const request = (
    body: Record<string, unknown> = {},
    { client = auth.createClient(), tenantId = auth.tenantId } = {},
  ): Promise<Answer> =>
    auth.send({
      client,
      url: `${auth.url}/${tenantId}`,
      body: {
        client: client.walletAddress,
        ...(body.subject === undefined && { access_token: { access: [outgoing] } }),
        interact: withFinish,
        ...body,
      },
    })

  async function open(
    body: Record<string, unknown> = {},
    { client = auth.createClient(), tenantId = auth.tenantId } = {},
  ): Promise<OpenGrant> {
    const answer = await request(body, { client, tenantId })
    assert.equal(answer.status, 200, answer.text)
    const { interact, continue: next } = answer.json
    const [, , id = '', nonce] = new URL(interact.redirect).pathname.split('/')
    return {
      client,
      redirect: interact.redirect,
      finish: interact.finish,
      id,
      path: `/${id}/${nonce}`,
      uri: next.uri,
      token: next.access_token.value,
    }
  }

  /** The browser goes to the identity provider, and somebody decides there. */
  async function consider(
    grant: OpenGrant,
    choice?: 'accept' | 'reject',
    { browser = auth.createBrowser(), secret }: { browser?: Browser; secret?: string } = {},
  ): Promise<Browser> {
    redirectOf(await browser.visit(grant.redirect))
    if (choice) {
      const chosen = await auth.idp('POST', `/grant${grant.path}/${choice}`, secret)
      assert.equal(chosen.status, 202, chosen.text)
    }
    return browser
  }

  /** All the way to the reference, which is empty for a client that polls. */
  async function consent(body: Record<string, unknown> = {}) {
    const grant = await open(body)
    const browser = await consider(grant, 'accept')
    const answer = await browser.visit(finishOf(grant))
    return {
      grant,
      browser,
      reference: answer.status === 302 ? (queryOf(answer).interact_ref ?? '') : '',
    }
  }

  return {
    finishOf,
    request,
    open,
    consider,
    consent,
    finish: (grant: OpenGrant, browser: Browser) => browser.visit(finishOf(grant)),
    /** Without a body it is a poll. */
    proceed: (grant: OpenGrant, body?: object, method: 'POST' | 'DELETE' = 'POST') =>
      auth.send({
        client: grant.client,
        method,
        url: grant.uri,
        token: grant.token,
        ...(body !== undefined && { body }),
      }),
    async isActive(value: string): Promise<boolean> {
      return (await auth.introspect({ access_token: value, access: [] })).json.active
    },
  }
}
