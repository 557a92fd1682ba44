import type { ThreatTable } from '../guard.ts'

const routes = 'connector/routing/route-table.ts'
const answerPeer = 'connector/pipeline/answer-peer.ts'
const limitTraffic = 'connector/pipeline/limit-traffic.ts'
const peerLimits = 'connector/peer-limits.test.ts'
const sharedLimits = 'connector/limits/shared-limits.test.ts'
const incoming = 'shared/incoming-payments/incoming-payments.test.ts'
const replicas = 'connector/replicas.test.ts'
const autoPeering = 'functions/auto-peering/auto-peering.test.ts'
const packetHead = 'connector/http/packet-head.ts'
const packetHeadTest = 'connector/http/packet-head.property.test.ts'
const packetConnections = 'connector/http/packet-connections.ts'
const packetConnectionsTest = 'connector/http/packet-connections.test.ts'
const peerConnections = 'connector/http/peer-connections.ts'
const peerConnectionsTest = 'connector/http/peer-connections.test.ts'
const peerProtocols = 'connector/peer-protocols.test.ts'
const peerTransport = 'connector/http/peer-transport.ts'
const repeatsTest = 'connector/http/repeats.test.ts'
const lostAnswers = {
  file: 'connector/http/peer-transport.test.ts',
  name: 'what a peer that knows repeats may have got and did not answer is lost',
}

/** Packets from peers, on one connector and on several. */
export const connectorThreats: ThreatTable = {
  title: 'Connector',
  about: 'Each through real HTTP and PostgreSQL; where Redis is named, through a real one.',
  threats: [
    {
      name: 'Packets that go in circles, or where nobody sent them (attacks 27, 34)',
      guards: [
        {
          name: 'a packet never goes back to where it came from',
          file: routes,
          text: 'if (peer.id === incomingPeerId) continue',
          without: 'void incomingPeerId',
          test: {
            file: 'connector/multi-hop.test.ts',
            name: 'a packet never goes back to where it came from',
          },
        },
        {
          name: 'every hop takes a second of its life',
          file: 'connector/pipeline/shorten-expiry.ts',
          text: 'sourceExpiry.getTime() - EXPIRATION_WINDOW_MS, nowMs',
          without: 'sourceExpiry.getTime(), nowMs',
          test: {
            file: 'connector/multi-hop.test.ts',
            name: 'two nodes that route in a circle end by the expiry',
          },
        },
        {
          name: 'an own address does not leave on a shorter route',
          file: routes,
          text: 'end > tooShort',
          without: 'end > 0 * tooShort',
          test: { file: peerProtocols, name: 'an own address that means nobody is unknown here' },
        },
        {
          name: 'what is for this node alone is not forwarded',
          file: answerPeer,
          text: "packet.prepare.destination.startsWith('peer.')",
          without: 'packet.prepare.destination === ILDCP_DESTINATION',
          test: { file: peerProtocols, name: 'what is for this node alone is never forwarded' },
        },
        {
          name: 'a question about configuration moves no money',
          file: answerPeer,
          text: 'if (prepare.amount !== 0n)',
          without: 'if (false)',
          test: { file: peerProtocols, name: 'a question that is late' },
        },
      ],
    },
    {
      name: 'More packets or money than a peer may send (attack 27, A16)',
      guards: [
        {
          name: 'packets per minute',
          file: limitTraffic,
          text: 'taken ? withinMoney(packet)',
          without: 'taken || packet ? withinMoney(packet)',
          test: { file: peerLimits, name: 'more packets than the limit are T05' },
        },
        {
          name: 'money per interval',
          file: limitTraffic,
          text: 'if (taken) return await spend(taken, packet, next)',
          without: 'return await (taken ? spend(taken, packet, next) : next(packet))',
          test: { file: peerLimits, name: 'more money than the limit is T04' },
        },
        {
          name: 'what is rejected is given back',
          file: limitTraffic,
          text: 'if (isReject(reply)) taken.giveBack()',
          without: 'void isReject',
          test: { file: peerLimits, name: 'what is rejected is given back' },
        },
        {
          name: 'once for all connectors',
          file: 'connector/limits/shared-bucket.ts',
          text: '  tokens = tokens - granted\n',
          without: '',
          test: { file: sharedLimits, name: 'three connectors let pass' },
        },
        {
          name: 'a repeat of what was paid is not told the opposite',
          file: 'connector/pipeline/refuse-new.ts',
          text: 'return known ? await next(packet) : reject',
          without: 'return known && !next ? await next(packet) : reject',
          test: {
            file: peerLimits,
            name: 'a repeat of a packet that was paid is never told that it was not',
          },
        },
      ],
    },
    {
      name: 'A packet whose answer is lost on the way back is paid for again',
      guards: [
        {
          name: 'what a peer may have got is sent again, also where others chose its endpoint',
          file: peerTransport,
          text: 'throw isKnown ? lost(failure) : failure',
          without: 'throw failure',
          test: lostAnswers,
        },
        {
          name: 'a peer that has not been heard yet is asked whether it knows repeats',
          file: 'connector/http/repeats.ts',
          text: 'if (!heard.has(endpoint)) {',
          without: 'if (false) {',
          test: { file: repeatsTest, name: 'a peer that loses its first packet is asked' },
        },
        {
          name: 'for as long as any of the packets lives that it lost',
          file: 'connector/http/repeats.ts',
          text: 'Math.max(asking.untilMs, untilMs)',
          without: 'asking.untilMs',
          test: { file: repeatsTest, name: 'a packet that lives longer than the first' },
        },
        {
          name: 'a peer that does not answer holds up the packets of a moment alone',
          file: 'connector/http/repeats.ts',
          text: "if (!heard.has(endpoint) && asking.untilMs <= untilMs) heard.set(endpoint, 'silent')",
          without: '',
          test: { file: repeatsTest, name: 'a peer that answers nothing holds up' },
        },
        {
          name: 'a packet is lost only at a peer that says it knows repeats',
          file: 'connector/http/repeats.ts',
          text: "else if (status === 200) heard.set(endpoint, 'unknown')",
          without: "else if (status === 200) heard.set(endpoint, 'known')",
          test: { file: repeatsTest, name: 'a peer that does not know repeats is asked once' },
        },
        {
          name: 'nobody is given up while the packet lives',
          file: 'connector/wiring.ts',
          text: 'timeoutMsMax: HOLD_WINDOW_MS',
          without: 'timeoutMsMax: 10_000',
          test: {
            file: 'connector/peered-endpoints.test.ts',
            name: 'may take as long as its packets live',
          },
        },
      ],
    },
    {
      name: 'Redis away, slow or empty (F34, F35)',
      guards: [
        {
          name: 'limits: each connector keeps to its part',
          file: 'connector/limits/shared-limits.ts',
          text: 'Math.floor(limit.capacity / members)',
          without: 'Math.floor(limit.capacity)',
          test: { file: sharedLimits, name: 'in the middle: no packet waits or fails' },
        },
        {
          name: 'limits: nobody waits for an answer that does not come',
          file: 'connector/limits/shared-limits.ts',
          text: `away(\`no answer within \${WAIT_MS} ms\`)`,
          without: 'void WAIT_MS',
          test: { file: sharedLimits, name: 'in the middle: no packet waits or fails' },
        },
        {
          name: 'limits: a failure is no refusal',
          file: 'connector/limits/shared-limits.ts',
          text: 'return isAway && isCounted ? takeOwn(key, share, quantity)',
          without: 'return isAway && isCounted ? undefined',
          test: { file: sharedLimits, name: 'in the middle: no packet waits or fails' },
        },
        {
          name: 'limits: also where Redis was never there',
          file: 'connector/limits/shared-limits.ts',
          text: 'members = Math.max(1, await ctx.countConnectors())',
          without: 'await ctx.countConnectors()',
          test: { file: peerLimits, name: 'count themselves in the database' },
        },
        {
          name: 'limits: and from the first packet on',
          file: 'connector/limits/shared-limits.ts',
          text: 'await settlesWithin(giveUpAtMs - performance.now(), counted)',
          without: '',
          test: { file: sharedLimits, name: 'Redis that was never there: one of ' },
        },
      ],
    },
    {
      name: 'A receipt that hangs on Redis (F34)',
      guards: [
        {
          name: 'without Redis money arrives, without a receipt',
          file: 'connector/receipts/stream-totals.ts',
          text: "'no receipt: redis is away')\n        return undefined",
          without: "'no receipt: redis is away')\n        throw error",
          test: { file: replicas, name: 'F34: receipts count over both connectors' },
        },
      ],
    },
    {
      name: 'Money around the end of a payment (F25, F26)',
      guards: [
        {
          name: 'an end that somebody asked for is announced after the grace',
          file: 'shared/incoming-payments/change-incoming-payment.ts',
          text: 'now.getTime() + ANNOUNCE_GRACE_MS',
          without: 'now.getTime() + 0 * ANNOUNCE_GRACE_MS',
          test: { file: incoming, name: 'the ledger itself refuses money' },
        },
        {
          name: 'a payment that expires is looked at again after the grace',
          file: 'shared/incoming-payments/process-incoming-payment.ts',
          text: 'const processAt = new Date(now.getTime() + ANNOUNCE_GRACE_MS)',
          without: 'const processAt = new Date(now.getTime() + 0 * ANNOUNCE_GRACE_MS)',
          test: { file: incoming, name: 'F26: money that arrives while an empty payment expires' },
        },
      ],
    },
    {
      name: 'Several connectors that each know a part',
      guards: [
        {
          name: 'changes of peers that were missed are read when notifications come again',
          file: 'shared/platform/listener.ts',
          text: 'for (const set of handlers.values()) for (const handler of set) void handler(undefined)',
          without: 'void handlers',
          test: { file: replicas, name: 'a token that was replaced while no notification could arrive' },
        },
        {
          name: 'what others credit counts at once',
          file: 'connector/pipeline/deliveries.ts',
          text: 'if (isShared(entry.payee)) return await readTotal(ctx, entry)',
          without: 'void isShared',
          test: { file: replicas, name: 'packets of one payment arrive over both' },
        },
        {
          name: 'what another connector has sent is not sent again',
          file: 'connector/rpc/sessions.ts',
          text: 'session.recorded && (isFurther(recorded, session.recorded) || hasOthers(ctx, found))',
          without:
            'session.recorded && recorded.sentAmount < 0n && (isFurther(recorded, session.recorded) || hasOthers(ctx, found))',
          test: { file: replicas, name: 'a payment that is sent in turns by both' },
        },
      ],
    },
    {
      name: 'Requests and answers with two readings (request smuggling), and peers that stand still',
      guards: [
        {
          name: 'a header that comes twice is left to node:http',
          file: packetHead,
          text: 'if (headers.has(key) || LEFT_TO_NODE.has(key)) return undefined',
          without: 'if (LEFT_TO_NODE.has(key)) return undefined',
          test: { file: packetHeadTest, name: 'what smuggles requests elsewhere is not taken' },
        },
        {
          name: 'so is a request that says by chunks how long it is',
          file: packetHead,
          text: "  'transfer-encoding',\n",
          without: '',
          test: { file: packetHeadTest, name: 'what smuggles requests elsewhere is not taken' },
        },
        {
          name: 'a token counts for as long as it is known, also on a connection that began with it',
          file: packetConnections,
          text: 'const peer = head && options.directory.findPeerByTokenHash(head.tokenHash)',
          without:
            'const peer = head && ((socket as { peer?: Peer }).peer ??= options.directory.findPeerByTokenHash(head.tokenHash))',
          test: { file: packetConnectionsTest, name: 'a token that is revoked between two packets' },
        },
        {
          name: 'a packet is of the peer whose token came with it, also on a connection of several peers',
          file: packetConnections,
          text: 'if (known?.bytes.equals(bytes)) return known',
          without: 'if (known) return known',
          test: { file: packetConnectionsTest, name: 'each packet of a connection is of the peer' },
        },
        {
          name: 'after an answer that ends a connection nothing is taken from it',
          file: packetConnections,
          text: 'if (isEnding) finish()',
          without: 'if (isEnding) socket.end(goOn())',
          test: { file: packetConnectionsTest, name: 'after an answer that ends the connection' },
        },
        {
          name: 'a connection on which nothing happens ends',
          file: packetConnections,
          text: 'if (lastTick < tick) socket.destroy()',
          without: 'if (lastTick < 0) socket.destroy()',
          test: { file: packetConnectionsTest, name: 'a body that does not come' },
        },
        {
          name: 'no more is read ahead than so much',
          file: packetConnections,
          text: 'if (unreadSize > AHEAD_SIZE_MAX) socket.pause()',
          without: 'if (unreadSize < 0) socket.pause()',
          test: { file: packetConnectionsTest, name: 'a client that sends without end' },
        },
        {
          name: 'bytes that come one by one take no more than their room',
          file: packetConnections,
          text: 'if (unread.length > PIECES_MAX) keep(Buffer.concat(unread))',
          without: '',
          test: { file: packetConnectionsTest, name: 'a body that comes byte by byte' },
        },
        {
          name: 'an answer with two lengths is none',
          file: 'connector/http/answer-head.ts',
          text: "if (length !== undefined && encoding !== undefined) malformed('two lengths')",
          without: "if (length === 'x') malformed('two lengths')",
          test: { file: peerConnectionsTest, name: 'answers that nobody asked for' },
        },
        {
          name: 'nor is one with a length after its chunks',
          file: 'connector/http/chunked-body.ts',
          text: "if (LENGTHS.test(line)) fail('a length after the body')",
          without: '',
          test: { file: peerConnectionsTest, name: 'answers that nobody asked for' },
        },
        {
          name: 'nor one after an announcement that ended the connection',
          file: 'connector/http/answer-reader.ts',
          text: "if (!found.isPersistent) throw new MalformedAnswer('nothing follows an announcement of this kind')",
          without: '',
          test: { file: peerConnectionsTest, name: 'answers that nobody asked for' },
        },
        {
          name: 'announcements of an answer have an end',
          file: 'connector/http/answer-reader.ts',
          text: 'announcedSize += start - from',
          without: '',
          test: { file: 'connector/http/answer-reader.test.ts', name: 'announcements without end' },
        },
        {
          name: "an answer after its time is not the next packet's answer",
          file: peerConnections,
          text: 'if (connection?.exchange === exchange) connection.socket.destroy()',
          without: 'if (connection?.exchange === exchange) use(connection)',
          test: { file: peerConnectionsTest, name: 'an answer that comes after its time' },
        },
        {
          name: 'requests are not piled up for a peer that answers without reading them',
          file: peerConnections,
          text: ' || connection.socket.writableLength > 0',
          without: '',
          test: { file: peerConnectionsTest, name: 'a connection whose answer came before its request' },
        },
        {
          name: "bytes after an answer are not the next packet's answer",
          file: 'connector/http/answer-reader.ts',
          text: "if (at < bytes.length) throw new MalformedAnswer('bytes after the end of the answer')",
          without: '',
          test: { file: peerConnectionsTest, name: 'answers that nobody asked for' },
        },
        {
          name: 'a token with a line end makes no other request of it',
          file: 'connector/http/peer-transport.ts',
          text: '!FIELD_VALUE.test(peer.outgoingToken) ||',
          without: '',
          test: {
            file: 'connector/http/peer-transport.test.ts',
            name: 'a token that would be more than a token',
          },
        },
      ],
    },
    {
      name: 'A connector that is ended (F31)',
      guards: [
        {
          name: 'it says so before it takes nothing more',
          file: 'connector/http/draining-server.ts',
          text: "ending && request.url === '/readyz' ?",
          without: "!ending && request.url === '/no' ?",
          test: { file: replicas, name: 'F31: SIGTERM' },
        },
        {
          name: 'what is under way is waited for',
          file: 'connector/http/draining-server.ts',
          text: 'while (open + (direct?.underWay ?? 0) > 0 && Date.now() < deadlineMs)',
          without: 'while (open < 0 && Date.now() < deadlineMs)',
          test: { file: replicas, name: 'F31: SIGTERM' },
        },
        {
          name: 'packets on connections that node:http does not know count too',
          file: 'connector/http/draining-server.ts',
          text: 'open + (direct?.underWay ?? 0) > 0',
          without: 'open > 0',
          test: { file: packetConnectionsTest, name: 'a server that ends answers what is under way' },
        },
        {
          name: 'and so do those whose client has gone',
          file: packetConnections,
          text: 'if (!isAnswering || !connection.isUnderWay) connections.delete(connection)',
          without: 'connections.delete(connection)',
          test: { file: packetConnectionsTest, name: 'a packet whose client has gone is waited for' },
        },
        {
          name: 'on connections that node:http reads, too',
          file: 'connector/http/draining-server.ts',
          text: 'Promise.all([closed, answered])',
          without: 'Promise.all([closed])',
          test: { file: packetConnectionsTest, name: 'a packet whose client has gone is waited for' },
        },
        {
          name: 'nothing is sent any more when all is closed',
          file: peerConnections,
          text: 'if (isClosed) return Promise.reject(closedFault())',
          without: '',
          test: { file: peerConnectionsTest, name: 'the end of the node ends what waits' },
        },
      ],
    },
    {
      name: 'Words in place of an address, in a payment’s row',
      guards: [
        {
          name: 'who rejected is an address, or nobody',
          file: 'connector/stream/connection.ts',
          text: 'isFulfill(reply) || isIlpAddress(reply.triggeredBy) ? reply',
          without: 'true ? reply',
          test: {
            file: 'connector/stream/send-payment.test.ts',
            name: 'words in place of an address are nobody: ',
          },
        },
      ],
    },
    {
      name: 'Credit for whoever asks to be a peer (F8, A18)',
      guards: [
        {
          name: 'all of them together have what the policy says',
          file: 'shared/peers/peering-policy.ts',
          text: 'const left = policy.creditTotal - grantedInAll',
          without: 'const left = policy.creditTotal + 0n * grantedInAll',
          test: { file: autoPeering, name: 'F8: a thousand peers' },
        },
        {
          name: 'nor does one lift the limit that the operator has set for its packets',
          file: 'shared/peers/peering-rules.ts',
          text: '(known === undefined || asked < known)',
          without: 'known !== asked',
          test: { file: autoPeering, name: 'it lowers its own limit' },
        },
        {
          name: 'each has no more than its part',
          file: 'shared/peers/peering-policy.ts',
          text: 'policy.creditPerPeer < left ? policy.creditPerPeer : left',
          without: 'left',
          test: { file: autoPeering, name: 'F8: a thousand peers' },
        },
        {
          name: 'requests at the same time are decided one after the other',
          file: 'shared/peers/accept-peering.ts',
          text: '    await lockAcceptance(db)\n    const place',
          without: '    const place',
          test: { file: autoPeering, name: 'F8: a thousand peers' },
        },
        {
          name: 'credit waits for the operator',
          file: 'shared/peers/accept-peering.ts',
          text: 'policy.needsApproval',
          without: '!policy.needsApproval',
          test: { file: autoPeering, name: 'waits for the operator’s word' },
        },
        {
          name: 'it is off unless it is asked for',
          file: 'functions/auto-peering/config.ts',
          text: 'if (!config.autoPeeringEnabled)',
          without: 'if (false)',
          test: { file: autoPeering, name: 'is off unless it is asked for' },
        },
        {
          name: 'peers that nobody approved are counted',
          file: 'shared/peers/accept-peering.ts',
          text: '>= policy.unapprovedPeersMax',
          without: '< 0',
          test: { file: autoPeering, name: 'peers that nobody approved are so many' },
        },
        {
          name: 'requests are limited by source',
          file: 'functions/auto-peering/app.ts',
          text: "if (request.method === 'POST') ctx.limiter.take(request.ip)",
          without: 'void request',
          test: { file: autoPeering, name: 'who proves nothing is limited by source' },
        },
      ],
    },
    {
      name: 'A peer’s place taken by somebody else (A18)',
      guards: [
        {
          name: 'new tokens wait until its endpoint knows them',
          file: 'shared/peers/prove-endpoints.ts',
          text: '(await accepts(ctx, endpoint, outgoingToken)) &&',
          without: 'outgoingToken !== endpoint &&',
          test: { file: autoPeering, name: 'without its token: when its own endpoint accepts' },
        },
        {
          name: 'an endpoint that knows every token proves nothing',
          file: 'shared/peers/prove-endpoints.ts',
          text: "!(await accepts(ctx, endpoint, randomBytes(32).toString('base64url')))",
          without: 'randomBytes !== undefined',
          test: { file: autoPeering, name: 'an endpoint that takes any token proves nothing' },
        },
        {
          name: 'its endpoint changes only with its token',
          file: 'shared/peers/accept-peering.ts',
          text: 'if (endpoint !== known.outgoing.endpoint)',
          without: 'if (false)',
          test: { file: autoPeering, name: 'by nobody else' },
        },
        {
          name: 'with its own token',
          file: 'shared/peers/accept-peering.ts',
          text: '?.id === known.id',
          without: '?.id !== undefined',
          test: { file: autoPeering, name: 'by nobody else' },
        },
        {
          name: 'what was made by hand stays',
          file: 'shared/peers/accept-peering.ts',
          text: 'if (known.peeringUrl === undefined)',
          without: 'if (false)',
          test: { file: autoPeering, name: 'by nobody else' },
        },
        {
          name: 'no address is taken from another peer',
          file: 'shared/peers/accept-peering.ts',
          text: 'rivals.some((endpoint) => endpoint !== request.ilpConnectorUrl)',
          without: 'rivals.length < 0',
          test: { file: autoPeering, name: 'does not take an address from another peer' },
        },
        {
          name: 'nor from this node',
          file: 'shared/peers/accept-peering.ts',
          text: 'if (areRelated(own.staticIlpAddress, request.staticIlpAddress))',
          without: 'if (false)',
          test: { file: autoPeering, name: 'says in the contract’s words what is wrong' },
        },
        {
          name: 'its endpoint is reached under the rules for strangers’ URLs',
          file: 'shared/peers/accept-peering.ts',
          text: '    peeringUrl: endpoint,\n    acceptedAt',
          without: '    acceptedAt',
          test: { file: autoPeering, name: 'answers with all that the other node needs' },
        },
      ],
    },
  ],
}
