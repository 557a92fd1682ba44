/**
 * The connector's RPC: probing paths, sending payments in slices, prices. Always true here: requests are signed, a payment is sent
 * by one session at a time, totals are recorded before they are told, and nothing is sent while it is uncertain what was sent
 * before.
 */
export { observeCalls } from './observe-calls.ts'
export { createRpcServer, type RpcServerOptions } from './rpc-server.ts'
export type { SendRecords, SendTotals } from './send-ledger.ts'
export { createSessions, type Sessions, type SessionsContext } from './sessions.ts'
