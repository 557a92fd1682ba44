import type { ThreatTable } from '../guard.ts'
import { graphqlThreats } from './graphql.ts'
import { signatureThreats } from './signatures.ts'

/** Every guard that must not disappear unnoticed. */
export const threatTables: readonly ThreatTable[] = [signatureThreats, graphqlThreats]
