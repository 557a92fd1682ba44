import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import test from 'node:test'
import { type ApiDocument, joinDocuments, pathsAt, readDocument } from './index.ts'
import { inlineMarkdown, markdown } from './markdown.ts'
import { operationsOf } from './operation-html.ts'
import { PAGE_CONTENT_SECURITY_POLICY, renderApiPage } from './page.ts'

const documents = (['resource-server', 'auth-server', 'wallet-address-server'] as const).map(
  (name) => [name, readDocument(name)] as const,
)
const markupOf = (parts: { markup: string }[]) => parts.map(({ markup }) => markup).join('')

for (const [name, document] of documents) {
  const page = renderApiPage(document)

  test(`${name}: the page shows every operation, status and schema`, () => {
    const operations = operationsOf(document)
    const written = Object.values(document.paths).flatMap((item) =>
      Object.keys(item).filter((key) => ['get', 'post', 'delete'].includes(key)),
    )
    assert.equal(operations.length, written.length)
    for (const { anchor, summary, operation } of operations) {
      const article = page.slice(page.indexOf(`<article id="${anchor}">`)).split('</article>')[0] ?? ''
      assert.ok(article.includes(`<h3>${summary}</h3>`), anchor)
      for (const status of Object.keys(operation.responses as object))
        assert.match(article, new RegExp(`class="status [a-z]+">${status}<`), `${anchor} ${status}`)
    }
    for (const schema of Object.keys(document.components.schemas ?? {}))
      assert.ok(page.includes(`<article id="schema-${schema}">`), schema)
    assert.doesNotMatch(page, /\[object|undefined/)
  })

  test(`${name}: every link inside the page leads somewhere, and no name is given twice`, () => {
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
    assert.equal(new Set(ids).size, ids.length)
    const links = [...page.matchAll(/href="#([^"]+)"/g)].map(([, target]) => target)
    assert.ok(links.length > 5)
    for (const target of links) assert.ok(ids.includes(target), target)
  })

  test(`${name}: the page fetches and runs nothing, and its policy allows exactly its style`, () => {
    assert.doesNotMatch(page, /<script|<img|<iframe|<form|<object| src=| on\w+=|url\(|@import| style=/i)
    const styles = [...page.matchAll(/<style>(.*?)<\/style>/gs)]
    assert.equal(styles.length, 1)
    const digest = hash('sha256', styles[0]?.[1] ?? '', 'base64')
    assert.ok(PAGE_CONTENT_SECURITY_POLICY.includes(`style-src 'sha256-${digest}'`))
    assert.ok(PAGE_CONTENT_SECURITY_POLICY.startsWith("default-src 'none';"))
    // A phone shows it in its own width.
    assert.ok(page.includes('<meta name="viewport" content="width=device-width, initial-scale=1">'))
  })
}

test('text of a specification never becomes markup', () => {
  const hostile = `<script>alert("1")</script> [a](javascript:alert(1)) [b](https://x.example/"onclick="y) 'q' & \`<b>\``
  const document: ApiDocument = {
    openapi: '3.1.0',
    info: { title: hostile, version: hostile, description: hostile },
    servers: [{ url: hostile, description: hostile, variables: { [hostile]: { default: hostile } } }],
    paths: {
      '/x': {
        get: {
          operationId: 'x"><script>',
          summary: hostile,
          description: hostile,
          tags: [hostile],
          parameters: [
            { name: hostile, in: 'query', schema: { type: 'string', pattern: hostile, enum: [hostile] } },
          ],
          responses: {
            200: {
              description: hostile,
              content: { [hostile]: { examples: { [hostile]: { value: hostile } } } },
            },
          },
        },
      },
    },
    components: { schemas: { [hostile]: { type: hostile, description: hostile } } },
  }
  const page = renderApiPage(document)
  assert.doesNotMatch(page, /<script|<b>|href="javascript| onclick="/)
  assert.ok(page.includes('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;'))
})

test('the Markdown of the specifications becomes markup, everything else stays text', () => {
  assert.equal(
    markupOf(markdown('One **bold**\nline.\n\n1. first\n2. `second`\n\n- dash\nend')),
    '<p>One <strong>bold</strong> line.</p><ol><li>first</li><li><code>second</code></li></ol><ul><li>dash</li></ul><p>end</p>',
  )
  const cases: [string, string][] = [
    ['*is* and _is_', '<em>is</em> and <em>is</em>'],
    ['snake_case_name 2*3*4', 'snake_case_name 2*3*4'],
    ['[RFC](https://rfc.example/1)', '<a href="https://rfc.example/1">RFC</a>'],
    ['[x](javascript:1)', '[x](javascript:1)'],
    ['`**code**`', '<code>**code**</code>'],
  ]
  for (const [text, markup] of cases) assert.equal(markupOf(inlineMarkdown(text)), markup, text)
})

test('joined documents keep what each of them names, and never two things under one name', () => {
  const [resource, wallet] = [readDocument('resource-server'), readDocument('wallet-address-server')]
  const servers = [{ url: 'https://wallet.example' }]
  const joined = joinDocuments(resource, { ...wallet, paths: pathsAt(wallet, servers) })
  assert.deepEqual(Object.keys(joined.paths), [...Object.keys(resource.paths), ...Object.keys(wallet.paths)])
  assert.deepEqual(joined.paths['/jwks.json']?.servers, servers)
  assert.equal(joined.paths['/quotes']?.servers, undefined)
  assert.ok(joined.components.schemas?.['json-web-key-set'] && joined.components.schemas.quote)
  assert.equal(joined.tags?.filter(({ name }) => name === 'wallet-address').length, 1)
  assert.throws(() => joinDocuments(resource, resource), /name different things/)
})
