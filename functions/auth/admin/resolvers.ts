import {
  type Caller,
  listScope,
  type PageArguments,
  parseId,
  type ResolverMap,
  scopeOf,
  toConnection,
  toPage,
} from '../../../shared/graphql-server/index.ts'
import type { Clock, Db } from '../../../shared/platform/index.ts'
import { revokeGrant } from '../grants/index.ts'
import { AdminRefusal } from './errors.ts'
import { findGrant, type GrantFilter, listGrants } from './store.ts'
import { toWireGrant } from './to-wire.ts'

export interface RequestContext {
  db: Db
  clock: Clock
  caller: Caller
}

interface Listed {
  in?: string[] | null
  notIn?: string[] | null
}

interface GrantsArguments extends PageArguments {
  tenantId?: string | null
  filter?: { identifier?: Listed | null; state?: Listed | null; finalizationReason?: Listed | null } | null
}

/** GraphQL says null where we say absent. */
const listed = (lists: Listed | null | undefined) => ({
  ...(lists?.in && { in: lists.in }),
  ...(lists?.notIn && { notIn: lists.notIn }),
})

const toFilter = (filter: GrantsArguments['filter']): GrantFilter => ({
  identifier: listed(filter?.identifier),
  state: listed(filter?.state),
  finalizationReason: listed(filter?.finalizationReason),
})

export const resolvers: ResolverMap<RequestContext> = {
  Query: {
    grants: async (_source, args: GrantsArguments, { db, caller }) => {
      const scope = listScope(caller, args.tenantId)
      return toConnection(await listGrants(db, scope, toFilter(args.filter), toPage(args)), toWireGrant)
    },
    grant: async (_source, args: { id: string }, { db, caller }) => {
      const grant = await findGrant(db, scopeOf(caller), parseId(args.id, 'id'))
      if (!grant) throw new AdminRefusal('unknown_grant')
      return toWireGrant(grant)
    },
  },
  Mutation: {
    revokeGrant: async (_source, { input }: { input: { grantId: string } }, { db, clock, caller }) => {
      if (input.grantId === '') throw new AdminRefusal('grant_id_missing')
      const grant = await findGrant(db, scopeOf(caller), parseId(input.grantId, 'grantId'))
      if (!grant) throw new AdminRefusal('grant_not_revocable')
      // False when it was revoked before, by its client too: then everything is as it was asked for.
      await revokeGrant(db, grant.id, clock.now())
      return { id: grant.id }
    },
  },
}
