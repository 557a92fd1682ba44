import { buildASTSchema, type DocumentNode, type GraphQLSchema, isObjectType } from 'graphql'
import { defineScalars } from './scalars.ts'

export type Resolver<Context, Source = unknown, Arguments = Record<string, unknown>> = (
  source: Source,
  args: Arguments,
  ctx: Context,
) => unknown

/** Resolvers by type and field. Fields that are missing here are read off the parent. */
export type ResolverMap<Context> = Record<string, Record<string, Resolver<Context, never, never>>>

function addResolvers<Context>(schema: GraphQLSchema, map: ResolverMap<Context>): void {
  for (const [typeName, fields] of Object.entries(map)) {
    const type = schema.getType(typeName)
    if (!isObjectType(type)) throw new Error(`resolvers for a type that the schema lacks: ${typeName}`)
    for (const [name, resolve] of Object.entries(fields)) {
      const field = type.getFields()[name]
      if (!field) throw new Error(`resolver for a field that the schema lacks: ${typeName}.${name}`)
      field.resolve = resolve as unknown as NonNullable<typeof field.resolve>
    }
  }
}

/**
 * A schema ({@link readSchema}) with its behaviour. Throws on a resolver without a field, a root field without a resolver and a scalar that has no
 * meaning here.
 */
export function buildServedSchema<Context>(
  document: DocumentNode,
  maps: readonly ResolverMap<Context>[],
): GraphQLSchema {
  // A test of each schema holds it against GraphQL's rules; doing it again would be a good part of a cold start.
  const schema = buildASTSchema(document, { assumeValid: true, assumeValidSDL: true })
  defineScalars(schema)
  for (const map of maps) addResolvers(schema, map)
  for (const root of [schema.getQueryType(), schema.getMutationType()])
    for (const field of Object.values(root?.getFields() ?? {}))
      if (!field.resolve) throw new Error(`root field without a resolver: ${root?.name}.${field.name}`)
  return schema
}
