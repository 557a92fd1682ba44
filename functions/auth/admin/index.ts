/**
 * Admin is how operators and tenants look at grants and end them: the Admin GraphQL of the authorization server. A tenant reaches
 * its own grants only, the operator everybody's. Secrets and tokens are in no answer.
 */
export { type AdminAppOptions, buildAdminApp } from './admin-app.ts'
