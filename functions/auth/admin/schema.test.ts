import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import {
  buildSchema,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isObjectType,
  validateSchema,
} from 'graphql'
import { buildAdminSchema } from './admin-app.ts'

const signature = (schema: GraphQLSchema, root: 'Query' | 'Mutation') => {
  const type = schema.getType(root)
  assert.ok(isObjectType(type))
  return Object.fromEntries(
    Object.values(type.getFields()).map((field) => [
      field.name,
      `(${field.args.map((arg) => `${arg.name}: ${String(arg.type)}`).join(', ')}): ${String(field.type)}`,
    ]),
  )
}

it('has the operations of the contract (admin-api.md §8), and no other', () => {
  const schema = buildAdminSchema()
  assert.deepEqual(signature(schema, 'Query'), {
    grant: '(id: ID!): Grant!',
    grants:
      '(after: String, before: String, filter: GrantFilter, first: Int, last: Int, sortOrder: SortOrder, tenantId: ID): GrantsConnection!',
  })
  assert.deepEqual(signature(schema, 'Mutation'), {
    revokeGrant: '(input: RevokeGrantInput!): RevokeGrantMutationResponse!',
  })
  assert.equal(schema.getSubscriptionType(), undefined)
})

it('has the inputs of the contract', () => {
  const schema = buildAdminSchema()
  const described = Object.values(schema.getTypeMap())
    .filter((type) => !type.name.startsWith('__'))
    .flatMap((type) => {
      if (isEnumType(type)) return [`${type.name}: ${type.getValues().map(({ name }) => name)}`]
      if (!isInputObjectType(type)) return []
      const fields = Object.values(type.getFields()).map((field) => `${field.name} ${String(field.type)}`)
      return [`${type.name}: ${fields.join(', ')}`]
    })
  assert.deepEqual(described.sort(), [
    'FilterFinalizationReason: in [GrantFinalization!], notIn [GrantFinalization!]',
    'FilterGrantState: in [GrantState!], notIn [GrantState!]',
    'FilterString: in [String!]',
    'GrantFilter: finalizationReason FilterFinalizationReason, identifier FilterString, state FilterGrantState',
    'GrantFinalization: ISSUED,REJECTED,REVOKED',
    'GrantState: APPROVED,FINALIZED,PENDING,PROCESSING',
    'RevokeGrantInput: grantId String!',
    'SortOrder: ASC,DESC',
  ])
})

it('is a schema by all rules of GraphQL, which starts take for granted', () => {
  const sdl = readFileSync(new URL('schema.graphql', import.meta.url), 'utf8')
  assert.deepEqual(validateSchema(buildSchema(sdl)), [])
})
