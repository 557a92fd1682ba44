import { hash } from 'node:crypto'
import { isObject } from '../platform/index.ts'
import type { ApiDocument, ServerEntry } from './document.ts'
import { type Html, html, rawHtml } from './html.ts'
import { inlineMarkdown, markdown } from './markdown.ts'
import {
  anchorOfResponse,
  type DocumentedOperation,
  operationSection,
  operationsOf,
  responseBody,
} from './operation-html.ts'
import { PAGE_STYLE } from './page-style.ts'
import { anchorOfSchema, schemaBody, schemaLine } from './schema-html.ts'

/**
 * The page has no script, frame, form or font, and its one style is named by its digest. Its icon is empty, so that browsers do not ask
 * for one.
 */
export const PAGE_CONTENT_SECURITY_POLICY = `default-src 'none'; style-src 'sha256-${hash('sha256', PAGE_STYLE, 'base64')}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const server = ({
  url,
  description,
  variables,
}: ServerEntry): Html => html`<li><code>${url}</code>${description !== undefined && html`: ${inlineMarkdown(description)}`}
${Object.entries(variables ?? {}).map(([name, variable]) => html`<div class="about"><code>{${name}}</code> ${inlineMarkdown(variable.description ?? '')} Default <code>${variable.default}</code>.</div>`)}</li>`

interface Group {
  name: string
  operations: DocumentedOperation[]
}

function groupsOf(operations: readonly DocumentedOperation[]): Group[] {
  const groups: Group[] = []
  for (const operation of operations) {
    const group = groups.find(({ name }) => name === operation.tag)
    if (group) group.operations.push(operation)
    else groups.push({ name: operation.tag, operations: [operation] })
  }
  return groups
}

const titleOf = (tag: string): string => tag.charAt(0).toUpperCase() + tag.slice(1).replaceAll('-', ' ')

const contentsList = (groups: readonly Group[], hasErrors: boolean): Html => html`<nav aria-label="Contents">
${groups.map(
  ({ name, operations }) =>
    html`<div class="group">${titleOf(name)}</div><ul>${operations.map(
      ({ method, anchor, summary }) =>
        html`<li><span class="method ${method.toLowerCase()}">${method}</span> <a href="#${anchor}">${summary}</a></li>`,
    )}</ul>`,
)}
<ul>${hasErrors && html`<li><a href="#errors">Errors</a></li>`}<li><a href="#schemas">Schemas</a></li></ul></nav>`

function errorsSection(document: ApiDocument): Html | undefined {
  const responses = Object.entries(document.components.responses ?? {})
  if (responses.length === 0) return undefined
  return html`<h2 id="errors">Errors</h2>${responses.map(([name, response]) => {
    const node = isObject(response) ? response : {}
    return html`<article id="${anchorOfResponse(name)}"><h3><span class="status bad">${name}</span> ${textOf(node.description)}</h3>${responseBody(document, node)}</article>`
  })}`
}

const schemasSection = (document: ApiDocument): Html =>
  html`<h2 id="schemas">Schemas</h2>${Object.entries(document.components.schemas ?? {}).map(
    ([name, value]) => {
      const schema = isObject(value) ? value : {}
      return html`<article id="${anchorOfSchema(name)}"><h3>${name}</h3>${schemaLine(schema)}${markdown(textOf(schema.description))}${schemaBody(schema)}</article>`
    },
  )}`

function accessSection(document: ApiDocument): Html[] {
  return Object.entries(document.components.securitySchemes ?? {}).flatMap(([name, scheme]) =>
    isObject(scheme) && typeof scheme.description === 'string'
      ? [html`<h2>Access (${name})</h2>${markdown(scheme.description)}`]
      : [],
  )
}

/** The document as a page for people: complete, without script, readable on a phone. */
export function renderApiPage(document: ApiDocument): string {
  const { info } = document
  const groups = groupsOf(operationsOf(document))
  const errors = errorsSection(document)
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${info.title}</title>
<style>${rawHtml(PAGE_STYLE)}</style>
</head>
<body>
<header>
<h1>${info.title}</h1>
<div class="version">Version ${info.version} · <a href="openapi.json">openapi.json</a></div>
${markdown(info.description ?? info.summary ?? '')}
<h4>Servers</h4>
<ul>${document.servers.map(server)}</ul>
${contentsList(groups, errors !== undefined)}
</header>
<main>
${accessSection(document)}
${groups.map(({ name, operations }) => html`<h2>${titleOf(name)}</h2>${operations.map((operation) => operationSection(document, operation))}`)}
${errors}
${schemasSection(document)}
</main>
<footer>Made from the Open Payments specification ${info.version} that this server follows.</footer>
</body>
</html>
`
  return page.markup
}
