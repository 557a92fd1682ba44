import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'

/** A request that reaches this process as an event of a gateway, which knows what its client wrote. */
export interface GatewayRequest {
  /** Path and query as they were sent. */
  target: string
  isTls: boolean
  /** The gateway's name for the request. */
  id?: string
}

declare module 'node:http' {
  interface IncomingMessage {
    /** Absent: the request came over a socket. */
    gateway?: GatewayRequest
  }
}

const storage = new AsyncLocalStorage<GatewayRequest>()

/** Within `inject`, the request that an app is handed is this one, whatever can be said of it in a URL object and headers. */
export const withGatewayRequest = <T>(request: GatewayRequest, inject: () => T): T =>
  storage.run(request, inject)

/**
 * The target by which a request is routed and which its signature covers. What is injected has gone through a URL parser on its way,
 * which resolves dots and writes escapes and queries its own way; over a socket a target is what the client wrote.
 */
export function receiveTarget(raw: IncomingMessage): string {
  const gateway = storage.getStore()
  if (gateway === undefined) return raw.url ?? ''
  raw.gateway = gateway
  Object.assign(raw.socket, { encrypted: gateway.isTls })
  return gateway.target
}
