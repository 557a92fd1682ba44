import { nodeConfig, nodeConfigChecks, resourceVariables } from '../../shared/node-context/index.ts'
import { type ConfigOf, configuration, type Environment, loadConfig } from '../../shared/platform/index.ts'

const {
  openPaymentsPort,
  introspectionUrl,
  introspectionCacheMs,
  publicHosts,
  signatureWindowSeconds,
  walletAddressNotFoundPolling,
  walletAddressRedirectHtmlPage,
  cardServiceUrl,
  spspEnabled,
} = resourceVariables

/** What this deployable reads; names are contract (contracts/admin/environment.md §1). */
export const openPaymentsConfig = {
  ...nodeConfig,
  openPaymentsPort,
  introspectionUrl,
  introspectionCacheMs,
  publicHosts,
  signatureWindowSeconds,
  walletAddressNotFoundPolling,
  walletAddressRedirectHtmlPage,
  cardServiceUrl,
  spspEnabled,
}

export type OpenPaymentsConfig = ConfigOf<typeof openPaymentsConfig>

/** A template is a URL once its placeholders are filled. */
function redirectProblems(template: string | undefined): string[] {
  if (template === undefined) return []
  try {
    configuration.httpUrl(template.replace(/%e?w[ap]/g, 'x'))
    return []
  } catch {
    return ['WALLET_ADDRESS_REDIRECT_HTML_PAGE must be a URL with http or https']
  }
}

export const loadOpenPaymentsConfig = (env: Environment): OpenPaymentsConfig =>
  loadConfig(openPaymentsConfig, env, (config) => [
    ...nodeConfigChecks(config),
    ...redirectProblems(config.walletAddressRedirectHtmlPage),
  ])
