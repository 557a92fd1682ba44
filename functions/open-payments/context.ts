import type { authenticateRequest, Jwk } from '../../shared/http-signatures/index.ts'
import type { NodeContext } from '../../shared/node-context/index.ts'
import type { LazyOpenApiValidator } from '../../shared/openapi/index.ts'
import type { Introspect } from './introspection.ts'
import type { Urls } from './wire.ts'

/** What the routes work with: the node, and what only this listener has. Built in `wiring.ts`. */
export interface OpenPaymentsContext extends NodeContext {
  urls: Urls
  introspect: Introspect
  /** Proof of possession: client keys, nonces, the limit on unproven work. */
  signatures: Parameters<typeof authenticateRequest>[0]
  /** Hosts that signed requests may name, those of tenants' wallet addresses aside. */
  publicHosts: ReadonlySet<string>
  trustProxy: boolean
  validators: { resource: LazyOpenApiValidator; walletAddress: LazyOpenApiValidator }
  /** Outside production our own answers are held against the specification too. */
  validatesResponses: boolean
  /** The node's own address, in the form in which addresses are looked up: only its keys are served. */
  ownWalletAddress: string
  /** The public halves of the node's signing keys: more than one while they change. */
  instanceJwks: () => Jwk[]
  /** Where browsers are sent that open a wallet address. */
  walletAddressPage?: string
  /** Whether a wallet is told of unknown addresses when the address itself is opened. */
  awaitsWalletAddresses: boolean
  /** ENABLE_SPSP_PAYMENT_POINTERS. */
  answersSpsp: boolean
  /** Throws when a dependency is away. */
  ready(): Promise<void>
}
