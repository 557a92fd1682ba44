import { isObject } from '../platform/index.ts'
import { type Html, html } from './html.ts'
import { inlineMarkdown } from './markdown.ts'

type Schema = Readonly<Record<string, unknown>>

const SCHEMAS = '#/components/schemas/'

export const anchorOfSchema = (name: string): string => `schema-${name}`

/** The name of the schema that is only referred to. */
const referredName = (schema: Schema): string | undefined =>
  typeof schema.$ref === 'string' && schema.$ref.startsWith(SCHEMAS)
    ? schema.$ref.slice(SCHEMAS.length)
    : undefined

const schemasIn = (value: unknown): Schema[] => (Array.isArray(value) ? value.filter(isObject) : [])

/** What a value is, in a few words: `string (uri)`, `list of integer`, or a link to the schema. */
function typeOf(schema: Schema): Html {
  const name = referredName(schema)
  if (name !== undefined) return html`<a href="#${anchorOfSchema(name)}">${name}</a>`
  if (schema.type === 'array' && isObject(schema.items)) return html`list of ${typeOf(schema.items)}`
  const format = typeof schema.format === 'string' && html` (${schema.format})`
  return html`${String(schema.type ?? (alternativesOf(schema) ? 'one of' : 'any'))}${format}`
}

const limitNames: Record<string, string> = {
  minimum: 'at least',
  maximum: 'at most',
  minLength: 'shortest',
  maxLength: 'longest',
  minItems: 'at least (items)',
  maxItems: 'at most (items)',
  const: 'always',
  default: 'default',
}

/** What a value must keep to beyond its type. */
function limitsOf(schema: Schema): Html[] {
  const limits = Object.entries(limitNames).flatMap(([keyword, words]) =>
    schema[keyword] === undefined ? [] : [html`<li>${words} <code>${String(schema[keyword])}</code></li>`],
  )
  const values = schema.enum
  if (Array.isArray(values))
    limits.push(
      html`<li>one of ${values.map((value, index) => html`${index > 0 && ', '}<code>${String(value)}</code>`)}</li>`,
    )
  if (typeof schema.pattern === 'string') limits.push(html`<li>matches <code>${schema.pattern}</code></li>`)
  if (schema.uniqueItems === true) limits.push(html`<li>no item twice</li>`)
  if (schema.readOnly === true) limits.push(html`<li>read only</li>`)
  if (schema.deprecated === true) limits.push(html`<li>deprecated</li>`)
  return limits
}

function alternativesOf(schema: Schema): { words: string; schemas: Schema[] } | undefined {
  const words = { oneOf: 'Exactly one of', anyOf: 'Any of', allOf: 'All of' } as const
  for (const [keyword, text] of Object.entries(words)) {
    const schemas = schemasIn(schema[keyword])
    if (schemas.length > 0) return { words: text, schemas }
  }
  return undefined
}

function property(name: string, schema: Schema, isRequired: boolean): Html {
  return html`<li>
<div class="name"><code>${name}</code> <span class="type">${typeOf(schema)}</span>${isRequired && html` <span class="required">required</span>`}</div>
${typeof schema.description === 'string' && html`<div class="about">${inlineMarkdown(schema.description)}</div>`}
${schemaBody(schema)}
</li>`
}

function propertiesOf(schema: Schema): Html | undefined {
  if (!isObject(schema.properties)) return undefined
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const entries = Object.entries(schema.properties)
  if (entries.length === 0) return undefined
  return html`<ul class="members">${entries.map(([name, value]) => property(name, isObject(value) ? value : {}, required.has(name)))}</ul>`
}

/** Everything about a schema but its description: limits, members, alternatives, what its items are. */
export function schemaBody(schema: Schema): Html {
  const limits = limitsOf(schema)
  const alternatives = alternativesOf(schema)
  const items = isObject(schema.items) && referredName(schema.items) === undefined ? schema.items : undefined
  return html`${limits.length > 0 && html`<ul class="limits">${limits}</ul>`}
${propertiesOf(schema)}
${items && schemaBody(items)}
${alternatives && html`<div class="alternatives"><p>${alternatives.words}:</p><ul>${alternatives.schemas.map(alternative)}</ul></div>`}
${schema.additionalProperties === false && html`<p class="closed">No other members.</p>`}`
}

/** An alternative may only say which members are required of those beside it. */
function alternative(schema: Schema): Html {
  const required = Array.isArray(schema.required) && !isObject(schema.properties) ? schema.required : []
  const title = typeof schema.title === 'string' && referredName(schema) === undefined
  return html`<li>${title && html`<strong>${String(schema.title)}</strong> `}${schemaLine(schema)}${required.map((name) => html` <code>${String(name)}</code> `)}${required.length > 0 && html`required`}${schemaBody(schema)}</li>`
}

/** The type alone; an object without a name says it by its members. */
export const schemaLine = (schema: Schema): Html | undefined =>
  referredName(schema) === undefined && schema.type === undefined
    ? undefined
    : html`<span class="type">${typeOf(schema)}</span>`
