import { type ApiDocument, joinDocuments, pathsAt, readDocument } from '../../shared/openapi/index.ts'
import type { OpenPaymentsContext } from './context.ts'

/**
 * What this listener serves, as one document: the resource server at this node's public URL, and wallet addresses at theirs. `did.json`,
 * which no node serves so far, is left out.
 */
export function openPaymentsDocument(
  ctx: Pick<OpenPaymentsContext, 'urls'> & { settings: { operatorTenantId: string } },
): ApiDocument {
  const { openPayments } = ctx.urls
  const resource = readDocument('resource-server')
  const wallet = readDocument('wallet-address-server')
  const { '/did.json': _notServed, ...walletPaths } = pathsAt(wallet, [
    {
      url: `${openPayments}/{walletAddress}`,
      description: 'A wallet address of this node; wallets may use hosts of their own',
      variables: { walletAddress: { default: 'alice', description: 'The path of the wallet address.' } },
    },
  ])
  const { 'did-document': _neither, ...schemas } = wallet.components.schemas ?? {}
  return {
    ...joinDocuments(resource, {
      ...wallet,
      paths: walletPaths,
      components: { ...wallet.components, schemas },
    }),
    servers: [
      { url: openPayments, description: "The operator's own resource server" },
      {
        url: `${openPayments}/{tenantId}`,
        description: "Any tenant's: `resourceServer` of a wallet address",
        variables: {
          tenantId: {
            default: ctx.settings.operatorTenantId,
            description: 'Who the wallet address belongs to.',
          },
        },
      },
    ],
  }
}
