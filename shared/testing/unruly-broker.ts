import type { Broker, OutgoingMessage, Verdict } from '../queue/index.ts'

export interface Unruliness {
  /** In [0, 1), from a seed. */
  random(): number
  /** Chances, from 0 to 1, of each message. */
  duplicate?: number
  /** Held back for up to `delayMs`; what comes later overtakes it. */
  delay?: number
  delayMs?: number
  /** Accepted, and never delivered. */
  drop?: number
  /** Not accepted. */
  refuse?: number
  /** Handed out once more, while it is worked on and after it has ended. */
  repeat?: number
}

/** A generator of a given seed (mulberry32): a run that failed can be had again. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A broker that does whatever brokers may do: messages come twice, late, in another order, or never. */
export function unrulyBroker(broker: Broker, options: Unruliness): Broker {
  const { random, delayMs = 100 } = options
  const happens = (chance = 0) => random() < chance
  const late = new Set<NodeJS.Timeout>()

  const shuffled = <T>(items: readonly T[]): T[] =>
    items
      .map((item) => ({ item, place: random() }))
      .sort((one, other) => one.place - other.place)
      .map(({ item }) => item)
  const sendLate = (message: OutgoingMessage) => {
    const timer = setTimeout(() => {
      late.delete(timer)
      void broker.send([message])
    }, random() * delayMs)
    late.add(timer)
  }

  return {
    ...broker,
    async send(messages) {
      const now: OutgoingMessage[] = []
      const outcomes = messages.map((message) => {
        if (happens(options.refuse)) return new Error('not today')
        if (happens(options.drop)) return undefined
        if (happens(options.duplicate)) sendLate(message)
        if (happens(options.delay)) sendLate(message)
        else now.push(message)
        return undefined
      })
      if (now.length > 0) {
        const sent = await broker.send(shuffled(now))
        const failure = sent.find((outcome) => outcome !== undefined)
        if (failure) return messages.map((_, index) => outcomes[index] ?? failure)
      }
      return outcomes
    },
    consume: (handler, delivery) =>
      broker.consume((messages) => {
        const order = shuffled(messages)
        const verdicts = new Map<unknown, Promise<Verdict>>()
        for (const [index, verdict] of handler(order).entries()) verdicts.set(order[index], verdict)
        const again = order.filter(() => happens(options.repeat))
        if (again.length > 0) {
          void Promise.all(handler(again))
          void Promise.all(verdicts.values()).then(() => Promise.all(handler(again)))
        }
        return messages.map((message) => verdicts.get(message) ?? Promise.resolve({ status: 'failed' }))
      }, delivery),
    async close() {
      for (const timer of late) clearTimeout(timer)
      await broker.close()
    },
  }
}
