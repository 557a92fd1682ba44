/** A message about a job. It carries ids only; the job's row says everything else. */
export interface OutgoingMessage {
  /** The job. Where a broker keeps an order, it keeps that of one job's messages. */
  key: string
  /** Whose work it is, for brokers that deal fairly with many. */
  tenantId?: string
  body: string
}

export interface IncomingMessage {
  id: string
  body: string
  /** How often it has been delivered, this time included. */
  receiveCount: number
  /** Present where the broker keeps the order of what has the same: after one that failed, the others must fail too. */
  orderedGroup?: string
}

/**
 * What becomes of a message. `done`: it is gone. `failed`: the broker delivers it again. `dead`: it can never be worked on, and goes
 * to the dead letters at once.
 */
export type Verdict = { status: 'done' } | { status: 'failed' } | { status: 'dead'; reason: string }

/** Works on what came together. A verdict for each, in order; each message ends when its own is there. Verdicts never reject. */
export type MessageHandler = (messages: readonly IncomingMessage[]) => readonly Promise<Verdict>[]

export interface Delivery {
  /** How many more messages may be in hand now. */
  room(): number
  /** A message in hand is delivered elsewhere when its consumer has shown no sign of life for so long. */
  visibilitySeconds: number
}

export interface MessageConsumer {
  /** Takes no more messages, and resolves when those in hand have ended. */
  close(): Promise<void>
}

export interface BrokerDepth {
  waiting: number
  /** Delivered, and not ended yet. */
  inFlight: number
  dead: number
}

export interface DeadLetter {
  id: string
  body: string
  reason: string
}

/**
 * A queue of a broker: at least once, in no order that may be relied on, and all of it may vanish at any time. Those who stand on
 * it keep the truth elsewhere.
 */
export interface Broker {
  /** For each message nothing, or why it was not, or perhaps not, accepted. Never throws. */
  send(messages: readonly OutgoingMessage[]): Promise<(Error | undefined)[]>
  /** Hands messages to `handler` until closed. Those in hand are kept from others meanwhile. */
  consume(handler: MessageHandler, delivery: Delivery): MessageConsumer
  /** Puts a message, or what was taken for one, to the dead letters. */
  bury(message: Pick<IncomingMessage, 'id' | 'body'>, reason: string): Promise<void>
  depth(): Promise<BrokerDepth>
  /** Some of them; where the broker cannot show them without receiving them, they are hidden for a moment afterwards. */
  listDeadLetters(limit: number): Promise<DeadLetter[]>
  /** Puts dead letters back into the queue, `limit` at most; returns how many. */
  redrive(limit: number): Promise<number>
  close(): Promise<void>
}

/** Deliveries before a message is given up; that of SQS is an attribute of the queue (localstack/queues.json). */
export const RECEIVES_MAX = 10

/** After a failure a message comes again: soon at first, then more seldom. */
export const retrySeconds = (receiveCount: number, visibilitySeconds: number): number =>
  Math.min(2 ** Math.min(receiveCount - 1, 10), visibilitySeconds)
