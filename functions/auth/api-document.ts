import { type ApiDocument, readDocument } from '../../shared/openapi/index.ts'
import { assert } from '../../shared/platform/index.ts'
import type { AuthContext } from './context.ts'

const TENANT = {
  name: 'tenantId',
  in: 'path',
  required: true,
  description: 'Whose grants are asked for. `authServer` of a wallet address ends with it.',
  schema: { type: 'string', format: 'uuid' },
}

/** The authorization server as it is here: a grant request names its tenant in the path, which the specification leaves to servers. */
export function authServerDocument(ctx: Pick<AuthContext, 'authServerUrl' | 'grantUrl'>): ApiDocument {
  const document = readDocument('auth-server')
  const { '/': grantRequest, ...others } = document.paths
  assert(grantRequest, 'the specification has a grant request')
  const asksElsewhere = ctx.grantUrl !== ctx.authServerUrl
  return {
    ...document,
    servers: [{ url: ctx.authServerUrl }],
    paths: {
      '/{tenantId}': {
        ...grantRequest,
        parameters: [TENANT],
        ...(asksElsewhere && { servers: [{ url: ctx.grantUrl }] }),
      },
      ...others,
    },
  }
}
