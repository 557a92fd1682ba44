import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createFormBrowser } from '../../examples/form-browser.ts'
import type { TwoBanks } from '../two-banks.ts'
import { type Access, continued, openShop, referenceIn, startConsent, usd } from './open-payments.ts'

type Note = (what: string, secret: string) => void

/** Grants that are asked for, decided on, used, and refused in many ways; every secret that passes by is noted. Both banks with WAIT_SECONDS=0. */
export async function consentWithSecrets(banks: TwoBanks, note: Note): Promise<void> {
  const consent = await startConsent()
  try {
    const { client, address, privateKey } = await openShop(banks)
    note("shop: client's key", String(privateKey.export({ format: 'jwk' }).d))
    const payer = await client.walletAddress.get({ url: banks.side('a', 'alice').walletAddress.address })
    const access: Access = {
      type: 'outgoing-payment',
      actions: ['create', 'read'],
      identifier: payer.id,
      limits: { debitAmount: usd('1000') },
    }
    const ask = async (withoutFinish: boolean) => {
      const asked = await consent.ask(client, payer.authServer, { access: [access], withoutFinish })
      note(`continuation ${withoutFinish}`, asked.grant.continue.access_token.value)
      note(`interaction's nonce ${withoutFinish}`, asked.grant.interact.finish)
      note(`client's nonce ${withoutFinish}`, asked.nonce)
      return asked
    }

    const asked = await ask(false)
    const browser = createFormBrowser()
    const opened = await browser.visit(asked.grant.interact.redirect)
    note('CSRF token', /name="csrf" value="([^"]+)"/.exec(opened.text)?.[1] ?? '')
    assert.equal(browser.cookies.size, 2, 'the sessions of the authorization server and of the consent page')
    for (const [name, { value }] of browser.cookies) {
      note(`cookie ${name}`, value)
      note(`cookie ${name}, without its signature`, decodeURIComponent(value).split('.')[0] ?? '')
    }
    const finished = await browser.press(opened, 'accept')
    const reference = referenceIn(finished, asked)
    note('interact_ref', reference)
    note('hash', new URL(finished.url).searchParams.get('hash') ?? '')
    await failWith(banks, reference, asked.grant)
    const granted = await continued(client, asked, finished)
    note('token', granted.value)
    const { access_token: rotated } = await client.token.rotate({
      url: granted.manage,
      accessToken: granted.value,
    })
    note('rotated token', rotated.value)
    const url = payer.resourceServer
    await assert.rejects(client.outgoingPayment.getGrantSpentAmounts({ url, accessToken: granted.value }))
    await client.outgoingPayment.getGrantSpentAmounts({ url, accessToken: rotated.value })
    // What is to be paid is not there, and the address is the shop's.
    const missing = `${address}/incoming-payments/${randomUUID()}`
    await assert.rejects(
      client.outgoingPayment.create(
        { url, accessToken: rotated.value },
        { walletAddress: payer.id, incomingPayment: missing, debitAmount: usd('100') },
      ),
    )

    const polling = await ask(true)
    const poll = { url: polling.grant.continue.uri, accessToken: polling.grant.continue.access_token.value }
    await client.grant.continue(poll)
    await consent.decide(polling, 'reject')
    await assert.rejects(client.grant.continue(poll))
    await client.grant.cancel({ url: granted.continue.uri, accessToken: granted.continue.access_token.value })
    await assert.rejects(client.grant.continue(poll))
  } finally {
    await consent.close()
  }
}

/** Secrets in the wrong place, at the wrong door, with the wrong key or none. */
async function failWith(
  banks: TwoBanks,
  reference: string,
  grant: {
    interact: { redirect: string; finish: string }
    continue: { uri: string; access_token: { value: string } }
  },
): Promise<void> {
  const { ports, identityServerSecret } = banks.a.settings
  const token = grant.continue.access_token.value
  const [, , id = ''] = new URL(grant.interact.redirect).pathname.split('/')
  const auth = `http://localhost:${ports.auth}`
  const idp = `http://localhost:${ports.interaction}/grant/${id}/${grant.interact.finish}`
  const send = async (url: string, headers: Record<string, string>, body?: string) => {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { method: 'POST', body }),
    })
    assert.ok(response.status >= 400, `${response.status} from ${url}`)
    await response.text()
  }
  const body = JSON.stringify({ interact_ref: reference })
  await send(`${auth}/continue/${id}`, { authorization: `GNAP ${token}` }, body)
  await send(grant.continue.uri.replace('https:', 'http:'), { authorization: `GNAP ${token}` }, `${body},`)
  await send(`${auth}/interact/${id}/${grant.interact.finish}/finish`, {
    cookie: `sessionId.${id}=${token}.${reference}`,
  })
  await send(`${auth}/interact/${id}/${reference}`, {})
  await send(idp, { 'x-idp-secret': `${identityServerSecret}0` })
  await send(`${idp}/accept`, { 'x-idp-secret': token }, '{}')
  await send(`${idp}/${reference}`, { 'x-idp-secret': identityServerSecret }, '{}')
  await send(`http://localhost:${ports.introspection}/`, {}, JSON.stringify({ access_token: [token] }))
  const consentPage = `http://localhost:${ports.wallet}/consent`
  const { finish: nonce } = grant.interact
  await send(`${consentPage}?${new URLSearchParams({ interactId: id, nonce: reference })}`, {})
  await send(consentPage, {}, JSON.stringify({ interactId: id, nonce, csrf: token, choice: 'accept' }))
}
