// What the tests look at: the templates of an installation as they come out of the synthesis, with their stacks' names.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInstallation, holdAgainstRules } from './app.ts'
import { parseConfig, type UpesiConfig } from './config.ts'
import { roles } from './roles.ts'
import { placeholderDist } from './stacks/compute.ts'

export type Json = Record<string, unknown>
export interface TemplateResource {
  stack: string
  id: string
  type: string
  properties: Json
  raw: Json
}
export interface Synthesised {
  config: UpesiConfig
  resources: TemplateResource[]
  /** Stacks that each stack waits for. */
  dependencies: Readonly<Record<string, string[]>>
  of(type: string): TemplateResource[]
}

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** With `held`, the rules of AWS are held against it, and what they find throws. */
export function synthesise(input: Json, { held = false } = {}): Synthesised {
  const config = parseConfig(input)
  const folder = mkdtempSync(join(tmpdir(), 'upesi-cdk-'))
  try {
    const dist = placeholderDist(join(folder, 'dist'), roles)
    const installation = createInstallation(config, dist, { outdir: join(folder, 'out') })
    if (held) holdAgainstRules(installation)
    const assembly = installation.app.synth()
    const resources = assembly.stacks.flatMap((stack) =>
      Object.entries((stack.template as { Resources: Record<string, Json> }).Resources).map(
        ([id, raw]): TemplateResource => ({
          stack: stack.stackName,
          id,
          type: String(raw.Type),
          properties: (raw.Properties ?? {}) as Json,
          raw,
        }),
      ),
    )
    const dependencies = Object.fromEntries(
      assembly.stacks.map((stack) => [
        stack.stackName,
        stack.dependencies.map(({ id }) => id).filter((id) => !id.endsWith('.assets')),
      ]),
    )
    return { config, resources, dependencies, of: (type) => resources.filter((one) => one.type === type) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The resource that an intrinsic function of `from` is about, in whatever stack it is. */
export function targetOf(
  value: unknown,
  from: TemplateResource,
  { resources }: Synthesised,
): TemplateResource | undefined {
  if (!isObject(value)) return undefined
  const [got] = Array.isArray(value['Fn::GetAtt']) ? value['Fn::GetAtt'] : []
  const own = value.Ref ?? got
  if (typeof own === 'string') return resources.find(({ stack, id }) => stack === from.stack && id === own)
  const { 'Fn::ImportValue': name, 'Fn::GetStackOutput': output } = value
  const [stack, put] = isObject(output) ? [output.StackName, output.OutputName] : String(name).split(':')
  return resources.find((one) => one.stack === stack && String(put).includes(one.id))
}

/** As the value may come out of a deployment: what only AWS knows is made up. */
export function deployed(value: unknown): string {
  if (typeof value === 'string') return value
  if (!isObject(value)) return String(value)
  const [separator, parts] = Array.isArray(value['Fn::Join']) ? value['Fn::Join'] : []
  if (Array.isArray(parts)) return parts.map(deployed).join(String(separator))
  const text = JSON.stringify(value)
  if (/OutputRef(webhooks|payments)/.test(text)) return 'https://sqs.eu-west-1.amazonaws.com/1/queue'
  return /Arn|OutputRef/.test(text) ? 'arn:aws:made:up' : 'made-up.example'
}

/** Every statement of every policy, with where it stands. */
export function statementsOf({ resources }: Synthesised): { at: TemplateResource; statement: Json }[] {
  const found: { at: TemplateResource; statement: Json }[] = []
  const walk = (at: TemplateResource, value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) walk(at, item)
    else if (isObject(value)) {
      if (Array.isArray(value.Statement))
        for (const statement of value.Statement) found.push({ at, statement: statement as Json })
      else for (const item of Object.values(value)) walk(at, item)
    }
  }
  for (const resource of resources) walk(resource, resource.properties)
  return found
}

export const listOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value]
