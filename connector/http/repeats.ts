import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../shared/platform/index.ts'
import { HOLD_WINDOW_MS } from '../pipeline/index.ts'

/** What whoever answers at an endpoint makes of a packet that comes again. `silent`: it was asked and did not answer. */
type Said = 'known' | 'unknown' | 'silent'

export interface Repeats {
  /** An answer says it by its header; one without the header says it too when it is 200. */
  note(endpoint: string, status: number, header: unknown): void
  /**
   * Whether the endpoint knows repeats. One that has not been heard yet is asked, by `ask` with so many milliseconds each time, until it
   * answers or `restMs` are over; whoever wants to know meanwhile waits for the same answer, and has it asked for as long as it can wait
   * itself. One that did not answer is asked no more: a peer that is broken behind a gateway must not keep every packet for as long as it
   * lives.
   */
  areKnown(endpoint: string, restMs: number, ask: (timeoutMs: number) => Promise<unknown>): Promise<boolean>
  /** What the endpoint says: one that did not answer is asked anew, once for all who want to know. */
  learn(endpoint: string, restMs: number, ask: (timeoutMs: number) => Promise<unknown>): Promise<Said>
  /** Ends what is asked. */
  close(): void
}

const ASK_MS = { first: 50, most: 1_000 }
const ANSWER_MS_MAX = 5_000

interface Asking {
  /** By `performance.now()`. */
  untilMs: number
  /** Nobody is asked for longer, however many want to know: no packet lives longer. */
  readonly untilMsMax: number
  readonly end: Promise<void>
}

/** Which peers know repeats, as they have said since this process started. */
export function createRepeats(): Repeats {
  // As many as there are peers.
  const heard = new Map<string, Said>()
  const asked = new Map<string, Asking>()
  const closing = new AbortController()
  /** False when it was cut short. */
  const pause = (ms: number, signal: AbortSignal) => sleep(ms, true, { signal }).catch(() => false)

  const askOn = async (
    endpoint: string,
    asking: Omit<Asking, 'end'>,
    ask: (timeoutMs: number) => Promise<unknown>,
  ): Promise<void> => {
    for (let waitMs = ASK_MS.first; !heard.has(endpoint); waitMs = Math.min(waitMs * 2, ASK_MS.most)) {
      const restMs = asking.untilMs - performance.now()
      if (restMs <= 0) return
      try {
        await ask(Math.min(Math.ceil(restMs), ANSWER_MS_MAX))
      } catch (error) {
        if (!(error instanceof Fault)) throw error
      }
      if (!heard.has(endpoint) && !(await pause(Math.min(waitMs, restMs), closing.signal))) return
    }
  }

  return {
    note(endpoint, status, header) {
      if (header === 'known') heard.set(endpoint, 'known')
      else if (status === 200) heard.set(endpoint, 'unknown')
    },
    async areKnown(endpoint, restMs, ask) {
      if (!heard.has(endpoint)) {
        const nowMs = performance.now()
        const untilMs = nowMs + restMs
        let asking = asked.get(endpoint)
        if (asking) asking.untilMs = Math.min(Math.max(asking.untilMs, untilMs), asking.untilMsMax)
        else {
          const terms = { untilMs, untilMsMax: nowMs + HOLD_WINDOW_MS }
          const end = askOn(endpoint, terms, ask).finally(() => asked.delete(endpoint))
          asking = Object.assign(terms, { end })
          asked.set(endpoint, asking)
        }
        const patience = new AbortController()
        await Promise.race([asking.end, pause(restMs, patience.signal)])
        patience.abort()
        // Nobody waits longer.
        if (!heard.has(endpoint) && asking.untilMs <= untilMs) heard.set(endpoint, 'silent')
      }
      return heard.get(endpoint) === 'known'
    },
    async learn(endpoint, restMs, ask) {
      if (heard.get(endpoint) === 'silent') heard.delete(endpoint)
      await this.areKnown(endpoint, restMs, ask)
      return heard.get(endpoint) ?? 'silent'
    },
    close: () => closing.abort(),
  }
}
