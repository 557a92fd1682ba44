import { assert, isObject } from '../platform/index.ts'
import { readSpecification } from './read-specification.ts'

/** Documents of the Open Payments specifications, named as their files are. */
export type SpecName = 'auth-server' | 'resource-server' | 'wallet-address-server'

export interface ServerEntry {
  url: string
  description?: string
  variables?: Record<string, { default: string; description?: string }>
}

/** An OpenAPI 3.1 document, as far as we look into it. */
export interface ApiDocument {
  openapi: string
  info: { title: string; version: string; description?: string; summary?: string } & Record<string, unknown>
  servers: readonly ServerEntry[]
  tags?: readonly { name: string; description?: string }[]
  paths: Readonly<Record<string, PathItem>>
  components: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  security?: unknown
}

/** Operations by lower-case method, beside what all of them share. */
export type PathItem = Readonly<Record<string, unknown>> & {
  parameters?: readonly unknown[]
  servers?: readonly ServerEntry[]
}

/** The document as the npm package has it, references in place. */
export const readDocument = (name: SpecName): ApiDocument => readSpecification(name) as ApiDocument

/** What `#/a/b` points to. References never leave their document. */
export function resolvePointer(document: unknown, reference: string): unknown {
  assert(reference.startsWith('#/'), 'references stay inside their document', reference)
  let found = document
  for (const part of reference.slice(2).split('/')) found = isObject(found) ? found[part] : undefined
  assert(found !== undefined, 'a reference leads somewhere', reference)
  return found
}

/** The paths of a document below servers of their own: for another document that takes them in. */
export const pathsAt = (
  { paths }: ApiDocument,
  servers: readonly ServerEntry[],
): Readonly<Record<string, PathItem>> =>
  Object.fromEntries(Object.entries(paths).map(([path, item]) => [path, { ...item, servers }]))

/** Adds `more` without replacing anything: two things of the same name would make every reference to one of them a lie. */
function together<T>(one: Readonly<Record<string, T>>, more: Readonly<Record<string, T>>): Record<string, T> {
  const both: Record<string, T> = { ...one }
  for (const [name, value] of Object.entries(more)) {
    assert(!(name in both), 'documents that are joined name different things', name)
    both[name] = value
  }
  return both
}

/** One document with the paths, schemas and tags of both. Paths of `more` keep their own servers. */
export function joinDocuments(one: ApiDocument, more: ApiDocument): ApiDocument {
  const kinds = new Set([...Object.keys(one.components), ...Object.keys(more.components)])
  const tags = [...(one.tags ?? []), ...(more.tags ?? [])]
  return {
    ...one,
    tags: tags.filter(({ name }, index) => tags.findIndex((tag) => tag.name === name) === index),
    paths: together(one.paths, more.paths),
    components: Object.fromEntries(
      [...kinds].map((kind) => [kind, together(one.components[kind] ?? {}, more.components[kind] ?? {})]),
    ),
  }
}
