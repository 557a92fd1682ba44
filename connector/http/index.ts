/**
 * ILP over HTTP (RFC 35): how packets come in from peers and go out to them. Always true here: a peer is known by its token
 * before its packet is read, nothing waits longer than a packet lives, and bytes from outside never end in anything but an
 * answer. Ordinary packets do without node:http both ways; whatever is unusual is read by it (ADR 12).
 */
export {
  answerHealth,
  createDrainingServer,
  type DrainingServer,
  listen,
  readBody,
  text,
} from './draining-server.ts'
export { createPacketServer, type PacketServerOptions } from './packet-server.ts'
export { createPeerTransport, type PeerTransportOptions } from './peer-transport.ts'
