import { isObject } from '../platform/index.ts'
import { type ApiDocument, type PathItem, resolvePointer } from './document.ts'
import { type Html, html } from './html.ts'
import { inlineMarkdown, markdown } from './markdown.ts'
import { schemaBody, schemaLine } from './schema-html.ts'

type Node = Readonly<Record<string, unknown>>

export interface DocumentedOperation {
  method: string
  path: string
  anchor: string
  tag: string
  summary: string
  operation: Node
  item: PathItem
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const
const LONG_TEXT = 300
const RESPONSES = '#/components/responses/'

export const anchorOfResponse = (name: string): string => `response-${name}`

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const entriesOf = (value: unknown): [string, Node][] =>
  isObject(value) ? Object.entries(value).map(([name, node]) => [name, isObject(node) ? node : {}]) : []

/** What a reference to a parameter, response or example stands for; what stands beside the reference counts more. */
export function resolved(document: ApiDocument, node: Node): Node {
  const { $ref: reference, ...beside } = node
  if (typeof reference !== 'string') return node
  const target = resolvePointer(document, reference)
  return { ...(isObject(target) && target), ...beside }
}

/** In the order of the document. */
export const operationsOf = (document: ApiDocument): DocumentedOperation[] =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method]
      if (!isObject(operation)) return []
      const tags = Array.isArray(operation.tags) ? operation.tags : []
      return [
        {
          method: method.toUpperCase(),
          path,
          anchor: textOf(operation.operationId),
          tag: textOf(tags[0]),
          summary: textOf(operation.summary),
          operation,
          item,
        },
      ]
    }),
  )

function examples(document: ApiDocument, content: Node): Html[] {
  return entriesOf(content.examples).map(([name, example]) => {
    const { value } = resolved(document, example)
    return html`<details><summary>Example: ${inlineMarkdown(name)}</summary><pre><code>${JSON.stringify(value, null, 2)}</code></pre></details>`
  })
}

/** Bodies by media type. */
const contents = (document: ApiDocument, value: unknown): Html[] =>
  entriesOf(value).map(([mediaType, content]) => {
    const schema = isObject(content.schema) ? content.schema : {}
    return html`<div class="content"><div><code>${mediaType}</code> ${schemaLine(schema)}</div>
${schemaBody(schema)}
${examples(document, content)}</div>`
  })

/** Every operation has the signature's headers; their long texts wait until they are wanted. */
const aboutParameter = (text: string): Html =>
  text.length > LONG_TEXT
    ? html`<details><summary>What it contains</summary><div class="about">${inlineMarkdown(text)}</div></details>`
    : html`<div class="about">${inlineMarkdown(text)}</div>`

function parameters(document: ApiDocument, { operation, item }: DocumentedOperation): Html | undefined {
  const all = [
    ...(item.parameters ?? []),
    ...(Array.isArray(operation.parameters) ? operation.parameters : []),
  ]
  const shown = all.filter(isObject).map((parameter) => resolved(document, parameter))
  if (shown.length === 0) return undefined
  return html`<h4>Parameters</h4><ul class="members">${shown.map((parameter) => {
    const schema = isObject(parameter.schema) ? parameter.schema : {}
    return html`<li><div class="name"><code>${textOf(parameter.name)}</code> <span class="type">${textOf(parameter.in)}, ${schemaLine(schema)}</span>${parameter.required === true && html` <span class="required">required</span>`}</div>
${aboutParameter(textOf(parameter.description))}${schemaBody(schema)}</li>`
  })}</ul>`
}

function requestBody(document: ApiDocument, { operation }: DocumentedOperation): Html | undefined {
  const body = operation.requestBody
  if (!isObject(body)) return undefined
  return html`<h4>Request body${body.required === true && html` <span class="required">required</span>`}</h4>
${markdown(textOf(body.description))}${contents(document, body.content)}`
}

const statusClass = (status: string): string =>
  status.startsWith('2') ? 'good' : status.startsWith('3') ? 'way' : 'bad'

/** What a response says beyond its status. */
export function responseBody(document: ApiDocument, response: Node): Html {
  const headers = entriesOf(response.headers).map(
    ([name, header]) =>
      html`<li><div class="name"><code>${name}</code> <span class="type">header</span></div><div class="about">${inlineMarkdown(textOf(header.description))}</div></li>`,
  )
  return html`${headers.length > 0 && html`<ul class="members">${headers}</ul>`}${contents(document, response.content)}`
}

function response(document: ApiDocument, status: string, given: Node): Html {
  const { $ref: reference } = given
  const shared =
    typeof reference === 'string' && reference.startsWith(RESPONSES) && reference.slice(RESPONSES.length)
  const whole = resolved(document, given)
  // What many operations share is written once, below the operations.
  const rest = shared
    ? html` <a href="#${anchorOfResponse(shared)}">See errors</a>`
    : responseBody(document, whole)
  return html`<div class="response"><div><span class="status ${statusClass(status)}">${status}</span> ${inlineMarkdown(textOf(whole.description))}${shared && rest}</div>${!shared && rest}</div>`
}

const NO_TOKEN = 'No access token is needed.'

/** One operation, whole. */
export function operationSection(document: ApiDocument, shown: DocumentedOperation): Html {
  const { method, path, anchor, summary, operation, item } = shown
  const isOpen = Array.isArray(operation.security) && operation.security.length === 0
  return html`<article id="${anchor}">
<h3>${summary}</h3>
<div class="route"><span class="method ${method.toLowerCase()}">${method}</span> <code>${path}</code></div>
${item.servers?.map(({ url, description }) => html`<p class="server">at <code>${url}</code>${description !== undefined && html`: ${inlineMarkdown(description)}`}</p>`)}
${markdown(textOf(operation.description))}
${isOpen && html`<p>${NO_TOKEN}</p>`}
${parameters(document, shown)}
${requestBody(document, shown)}
<h4>Responses</h4>
${entriesOf(operation.responses).map(([status, given]) => response(document, status, given))}
</article>`
}
