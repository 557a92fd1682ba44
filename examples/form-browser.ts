/**
 * A browser as far as a consent page needs one: it keeps cookies, follows redirects and sends forms. For tests, and for
 * trying things out without a person. It is no way around consent: it presses the button that a person would press.
 */
export interface Page {
  /** Where the redirects ended. */
  url: string
  status: number
  headers: Headers
  text: string
  /** Where they led by, the first address included. */
  via: readonly string[]
}

export interface FormBrowser {
  visit(url: string): Promise<Page>
  /** Sends the page's form with one of its buttons; `change` overrides fields. */
  press(page: Page, button: string, change?: Record<string, string>): Promise<Page>
  /** By name. As in any browser, ports do not tell hosts apart. */
  cookies: Map<string, Cookie>
}

interface Cookie {
  value: string
  path: string
}

const REDIRECTS_MAX = 10
const TIMEOUT_MS = 10_000
const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
}

const decoded = (text: string): string =>
  text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity)

/** In development, https ids on this machine are served over http on the same port. */
export function reachable(url: string): string {
  const { hostname } = new URL(url)
  return hostname === 'localhost' ? url.replace(/^https:/, 'http:') : url
}

/** The attributes of every element of that name. */
function elements(text: string, name: string): Record<string, string>[] {
  const found = text.matchAll(new RegExp(`<${name}((?:\\s+[\\w-]+(?:="[^"]*")?)*)\\s*/?>`, 'g'))
  return [...found].map(([, attributes = '']) =>
    Object.fromEntries(
      [...attributes.matchAll(/([\w-]+)(?:="([^"]*)")?/g)].map(([, key = '', value = '']) => [
        key,
        decoded(value),
      ]),
    ),
  )
}

export function createFormBrowser(): FormBrowser {
  const cookies = new Map<string, Cookie>()

  const cookieHeader = (url: URL): string =>
    [...cookies]
      .filter(([, { path }]) => path === '/' || url.pathname === path || url.pathname.startsWith(`${path}/`))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ')

  function keepCookies(headers: Headers): void {
    for (const line of headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
      const name = pair.slice(0, pair.indexOf('='))
      const path = attributes.find((text) => /^path=/i.test(text))?.slice(5) ?? '/'
      const isGone = attributes.some((text) => /^max-age=0$/i.test(text) || /^expires=.*\b1970\b/i.test(text))
      if (isGone) cookies.delete(name)
      else cookies.set(name, { value: pair.slice(pair.indexOf('=') + 1), path })
    }
  }

  async function load(address: string, form?: URLSearchParams): Promise<Page> {
    const via: string[] = []
    let next = new URL(reachable(address))
    let body = form
    for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
      via.push(next.href)
      const response = await fetch(next, {
        redirect: 'manual',
        headers: { accept: 'text/html', cookie: cookieHeader(next) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body && { method: 'POST', body }),
      })
      keepCookies(response.headers)
      const text = await response.text()
      const location = response.headers.get('location')
      if (response.status < 300 || response.status > 399 || location === null)
        return { url: next.href, status: response.status, headers: response.headers, text, via }
      next = new URL(reachable(new URL(location, next).href))
      body = undefined
    }
    throw new Error(`more than ${REDIRECTS_MAX} redirects from ${new URL(address).origin}`)
  }

  return {
    cookies,
    visit: (url) => load(url),
    async press(page, button, change = {}) {
      const form = elements(page.text, 'form')[0]
      const isThere = elements(page.text, 'button').some(({ value }) => value === button)
      if (!form?.action || !isThere) throw new Error(`no button "${button}" on the page: ${titleOf(page)}`)
      const fields = Object.fromEntries(
        elements(page.text, 'input').map(({ name = '', value = '' }) => [name, value]),
      )
      const filled = new URLSearchParams({ ...fields, choice: button, ...change })
      return await load(new URL(form.action, page.url).href, filled)
    },
  }
}

/** What a page calls itself, or the beginning of what it says. */
export const titleOf = ({ status, text }: Page): string =>
  `${status} ${decoded(/<title>([^<]*)/.exec(text)?.[1] ?? text.slice(0, 200))}`
