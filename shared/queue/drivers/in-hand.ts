import { type Logger, messageOf } from '../../platform/index.ts'
import { createGate } from '../gate.ts'
import type { Delivery, IncomingMessage, MessageHandler, Verdict } from './model.ts'

export interface Settled<M> {
  message: M
  verdict: Verdict
}

/** What a driver knows how to do with messages that it received. A throw leaves them to be delivered again. */
export interface Ends<M> {
  extend(messages: readonly M[]): Promise<void>
  settle(settled: readonly Settled<M>[]): Promise<void>
}

export interface InHand<M> {
  /** Passes messages on, and settles each when its verdict is there. */
  take(messages: readonly M[]): void
  has(id: string): boolean
  /** How many more may be taken; waits a moment while there is no room for any. */
  room(): Promise<number>
  /** Resolves when everything in hand is settled. */
  drained(): Promise<void>
}

/** Room depends on more than what is in hand, so it is looked at now and then. */
const ROOM_MS = 20

/** Keeps what a consumer has received and not settled, and shows the broker signs of life of it. */
export function createInHand<M extends IncomingMessage>(
  log: Logger,
  handler: MessageHandler,
  delivery: Delivery,
  ends: Ends<M>,
): InHand<M> {
  const inHand = new Map<string, { message: M; since: number }>()
  let settled: Settled<M>[] = []
  let settling: Promise<void> | undefined
  const gate = createGate()
  const visibilityMs = delivery.visibilitySeconds * 1000
  let heartbeat: NodeJS.Timeout | undefined

  const complain = (what: string) => (error: unknown) =>
    log.warn({ reason: messageOf(error) }, `cannot ${what} messages`)

  const beat = () => {
    // One that came a moment ago has most of its time left.
    const before = performance.now() - visibilityMs / 6
    const messages = [...inHand.values()].filter(({ since }) => since <= before).map(({ message }) => message)
    if (messages.length > 0) ends.extend(messages).catch(complain('keep'))
  }

  /** Those that end in the same turn, or while others are being settled, are settled together. */
  const settle = async (): Promise<void> => {
    await new Promise(setImmediate)
    while (settled.length > 0) {
      const batch = settled
      settled = []
      await ends.settle(batch).catch(complain('settle'))
      for (const { message } of batch) inHand.delete(message.id)
      gate.wake()
    }
    settling = undefined
    if (inHand.size === 0) {
      clearInterval(heartbeat)
      heartbeat = undefined
    }
  }

  return {
    take(messages) {
      if (messages.length === 0) return
      heartbeat ??= setInterval(beat, visibilityMs / 3)
      for (const message of messages) inHand.set(message.id, { message, since: performance.now() })
      const verdicts = handler(messages)
      for (const [index, message] of messages.entries()) {
        const verdict: Promise<Verdict> = verdicts[index] ?? Promise.resolve({ status: 'failed' })
        void verdict
          .catch((error: unknown): Verdict => {
            complain('work on')(error)
            return { status: 'failed' }
          })
          .then((known) => {
            settled.push({ message, verdict: known })
            settling ??= settle()
          })
      }
    },
    has: (id) => inHand.has(id),
    async room() {
      const free = delivery.room()
      if (free > 0) return free
      await gate.wait(ROOM_MS)
      return Math.max(delivery.room(), 0)
    },
    async drained() {
      while (inHand.size > 0) await gate.wait(ROOM_MS)
      await settling
    },
  }
}
