/**
 * Packet owns the ILPv4 packets as bytes (RFC 27): ilp-packet is the codec, amounts are bigint on our side of it, and bytes
 * that are not a packet end in {@link InvalidPacket}, never in anything else. Only forwarding has code of its own: it reads a
 * Prepare without copying and patches amount and expiry in place, because nothing else of it changes on the way.
 */
export { isIlpAddress } from './address.ts'
export {
  deserializePrepare,
  deserializeReply,
  serializeFulfill,
  serializePrepare,
  serializeReject,
  serializeReply,
} from './codec.ts'
export { InvalidPacket } from './errors.ts'
export {
  ILDCP_DESTINATION,
  ildcpFulfill,
  ildcpQuestion,
  isIldcpCondition,
  type PeerConfiguration,
} from './ildcp.ts'
export {
  DATA_LENGTH_MAX,
  type IlpErrorCode,
  type IlpFulfill,
  type IlpPrepare,
  type IlpReject,
  type IlpReply,
  ilpErrors,
  isFulfill,
  isReject,
  packetType,
} from './model.ts'
export { type PreparePacket, parsePrepare, patchPrepare } from './prepare.ts'
export {
  amountTooLargeReject,
  createReject,
  parseAmountTooLarge,
  type RejectInput,
} from './rejects.ts'
