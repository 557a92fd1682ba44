/**
 * For tests: a path of connectors between our sender and any receiver, in memory. Receivers are wrapped so that each takes a
 * Prepare and gives a reply, and counts what it was paid.
 */

import { mock } from 'node:test'
import { StreamServer as OlderServer } from '@interledger/stream-receiver'
import { createServer, DataAndMoneyStream } from 'ilp-protocol-stream'
import { StreamServer as NewerServer } from 'stream-receiver-alpha'
import { convertFloor, identityRate, type Rate } from '../../shared/money/index.ts'
import { createCredentialReader, createStreamCredentials } from '../../shared/stream-credentials/index.ts'
import {
  amountTooLargeReject,
  createReject,
  deserializeReply,
  type IlpErrorCode,
  type IlpPrepare,
  type IlpReply,
  isFulfill,
  serializeFulfill,
  serializePrepare,
} from '../packet/index.ts'
import { receiveStreamPacket, type SendPacket, type StreamRejects } from './index.ts'

/** Runs `work` while the clock and all timers run ahead as fast as it can follow: hours cost milliseconds, and no load is felt. */
export async function inFakeTime<T>(work: () => Promise<T>): Promise<T> {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2031-05-04T03:02:01Z') })
  try {
    let settled = false
    const settle = () => {
      settled = true
    }
    const result = work()
    result.then(settle, settle)
    for (;;) {
      // Immediates are real: they come when no promise has anything left to do.
      await new Promise(setImmediate)
      if (settled) return await result
      mock.timers.tick(1)
    }
  } finally {
    mock.timers.reset()
  }
}

export interface TestReceiver {
  destination: { ilpAddress: string; sharedSecret: string }
  receive(prepare: IlpPrepare): Promise<IlpReply>
  /** What it took, in its own units. */
  received(): bigint
  close(): Promise<void>
}

const streamSecret = Buffer.alloc(32, 9)
const ilpAddress = 'test.receiver'

/** Our own receiver. `accepts` may decline money. */
export function ourReceiver(
  rejects: StreamRejects,
  accepts: (received: bigint) => boolean | 'closed' | { words: string } = () => true,
): TestReceiver {
  const reader = createCredentialReader({ streamSecret, ilpAddress })
  const credentials = createStreamCredentials({ streamSecret, ilpAddress, paymentTag: 'tag' })
  let received = 0n
  return {
    destination: {
      ilpAddress: credentials.ilpAddress,
      sharedSecret: credentials.sharedSecret.toString('base64url'),
    },
    async receive(prepare) {
      const decision = receiveStreamPacket({ reader, prepare, rejects })
      if (decision.kind === 'reject') return decision.reject
      if (decision.kind === 'fulfill') return decision.fulfill
      const answer = accepts(received)
      if (typeof answer === 'object')
        return decision.decline({ close: true, data: Buffer.from(answer.words) })
      if (answer !== true) return decision.decline({ close: answer === 'closed' })
      received += decision.amount
      return decision.fulfill()
    },
    received: () => received,
    close: async () => {},
  }
}

/** stream-receiver 0.2.2 (F99) or 0.3.3-alpha.4 (F05 and F04), with credentials that we made. */
export function publishedReceiver(version: '0.2.2' | 'alpha.4'): TestReceiver {
  const Server = version === '0.2.2' ? OlderServer : NewerServer
  const server = new Server({ serverAddress: ilpAddress, serverSecret: streamSecret })
  const credentials = createStreamCredentials({ streamSecret, ilpAddress, paymentTag: 'tag' })
  let received = 0n
  return {
    destination: {
      ilpAddress: credentials.ilpAddress,
      sharedSecret: credentials.sharedSecret.toString('base64url'),
    },
    async receive(prepare) {
      const reply = server.createReply({ ...prepare, amount: prepare.amount.toString() })
      if (!('accept' in reply)) return reply
      received += prepare.amount
      return reply.accept()
    },
    received: () => received,
    close: async () => {},
  }
}

const octets = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)])
/** The answer that ILDCP wants: the client's address and asset. */
const ildcpReply = (address: string) =>
  serializeFulfill({
    fulfillment: Buffer.alloc(32),
    data: Buffer.concat([octets(address), Buffer.of(2), octets('EUR')]),
  })

// The streams of ilp-protocol-stream 2.7.1 assign to `closed`, which Node's streams have made read-only since.
Object.defineProperty(DataAndMoneyStream.prototype, 'closed', { writable: true, value: false })

type Handler = (data: Buffer) => Promise<Buffer>
/** A plugin of ilp-protocol-stream that is configured over ILDCP and sends everything else to `send`. */
export function testPlugin(address: string, send: Handler) {
  let handler: Handler | undefined
  return {
    connect: async () => {},
    disconnect: async () => {},
    isConnected: () => true,
    sendData: async (data: Buffer) =>
      data.includes('peer.config', 0, 'latin1') ? ildcpReply(address) : await send(data),
    registerDataHandler(given: Handler) {
      handler = given
    },
    deregisterDataHandler() {
      handler = undefined
    },
    deliver: (data: Buffer): Promise<Buffer> => {
      if (!handler) throw new Error('the plugin has no handler')
      return handler(data)
    },
  }
}

/** The full-duplex server of ilp-protocol-stream 2.7.1, with its own credentials. */
export async function fullServer(): Promise<TestReceiver> {
  const plugin = testPlugin(ilpAddress, () => Promise.reject(new Error('the server sends nothing')))
  const server = await createServer({ plugin, serverSecret: Buffer.alloc(32, 5), disconnectDelay: 1 })
  const { destinationAccount, sharedSecret } = server.generateAddressAndSecret()
  const streams: DataAndMoneyStream[] = []
  const connections: { stopTimers(): void }[] = []
  server.on('connection', (connection) => {
    connections.push(connection)
    connection.on('stream', (stream: DataAndMoneyStream) => {
      stream.setReceiveMax('18446744073709551615')
      streams.push(stream)
    })
  })
  return {
    destination: { ilpAddress: destinationAccount, sharedSecret: sharedSecret.toString('base64url') },
    receive: async (prepare) => deserializeReply(await plugin.deliver(serializePrepare(prepare))),
    received: () => streams.reduce((sum, stream) => sum + BigInt(stream.totalReceived), 0n),
    async close() {
      for (const connection of connections) connection.stopTimers()
      plugin.deregisterDataHandler()
    },
  }
}

export interface TestPath {
  send: SendPacket
  /** Source units of fulfilled packets, as the sender's ledger would have them. */
  spent(): bigint
  /** Amounts of all packets, in the order they were sent. */
  amounts: bigint[]
  /** Codes of all rejects, in the order they came back. */
  codes: string[]
  mostInFlight(): number
}

export interface TestPathOptions {
  receiver: TestReceiver
  /** Of the connector, exact. */
  rate?: Rate
  /** In source units. */
  maxPacketAmount?: bigint
  /** Whether an F08 says its amounts. */
  explains?: boolean
  /** Turns a packet away before it reaches the receiver. */
  turnAway?: (packet: { amount: bigint; index: number }) => IlpErrorCode | undefined
  /** How long a packet takes in all. Default: no time. */
  delayMs?: (index: number) => number
}

const connector = { triggeredBy: 'test.connector' }

export function testPath(options: TestPathOptions): TestPath {
  const rate = options.rate ?? identityRate
  let spent = 0n
  let inFlight = 0
  let mostInFlight = 0
  const amounts: bigint[] = []
  const codes: string[] = []

  async function forward(prepare: IlpPrepare, index: number): Promise<IlpReply> {
    const { maxPacketAmount } = options
    if (maxPacketAmount !== undefined && prepare.amount > maxPacketAmount)
      return options.explains === false
        ? createReject('F08', connector)
        : amountTooLargeReject({
            ...connector,
            receivedAmount: prepare.amount,
            maximumAmount: maxPacketAmount,
          })
    const code = options.turnAway?.({ amount: prepare.amount, index })
    if (code) return createReject(code, connector)
    const amount = convertFloor(prepare.amount, rate)
    if (amount >= 2n ** 64n) return createReject('F03', connector)
    return await options.receiver.receive({ ...prepare, amount })
  }

  return {
    amounts,
    codes,
    spent: () => spent,
    mostInFlight: () => mostInFlight,
    async send(prepare) {
      const index = amounts.push(prepare.amount) - 1
      mostInFlight = Math.max(mostInFlight, ++inFlight)
      const delayMs = options.delayMs?.(index) ?? 0
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
      const reply = await forward(prepare, index)
      inFlight--
      if (isFulfill(reply)) spent += prepare.amount
      else codes.push(reply.code)
      return reply
    },
  }
}
