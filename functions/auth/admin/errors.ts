import {
  createErrorRenderer,
  type GraphqlCode,
  type RenderError,
  type ServerRefusalCode,
} from '../../../shared/graphql-server/index.ts'
import { type Logger, Refusal } from '../../../shared/platform/index.ts'

type AdminRefusalCode = 'unknown_grant' | 'grant_not_revocable' | 'grant_id_missing'

const messages = {
  unknown_grant: 'No grant',
  grant_not_revocable: 'Revoke grant was not successful',
  grant_id_missing: 'grantId must not be empty',
} as const satisfies Record<AdminRefusalCode, string>

/** Said no; code and words are those of the contract (admin-api.md §8). */
export class AdminRefusal extends Refusal<AdminRefusalCode> {
  constructor(code: AdminRefusalCode) {
    super(code, { message: messages[code] })
  }
}

const graphqlCode = {
  unknown_grant: 'NOT_FOUND',
  grant_not_revocable: 'NOT_FOUND',
  grant_id_missing: 'FORBIDDEN',
  invalid_input: 'BAD_USER_INPUT',
  invalid_page: 'BAD_USER_INPUT',
} as const satisfies Record<AdminRefusalCode | ServerRefusalCode, GraphqlCode>

export const createAdminErrors = (log: Logger): RenderError =>
  createErrorRenderer({ log, codes: graphqlCode })
