import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { Refusal } from '../platform/index.ts'
import {
  type PaymentRef,
  parseBaggage,
  parseTraceparent,
  paymentAttributes,
  placeOf,
  type TracePlace,
  toBaggage,
  toTraceparent,
} from './payment-trace.ts'
import { outcomeOf } from './timed.ts'

export interface SpanOptions {
  kind?: 'internal' | 'server' | 'client' | 'consumer'
  attributes?: Attributes
  /** The payment that the work is about: the span is in its trace, and this and every span below names it. */
  payment?: PaymentRef
  /** Work begins here: whatever is active now is not its parent. */
  isEntry?: boolean
  /** The caller's headers, where callers are believed. */
  caller?: Readonly<Record<string, unknown>>
  /** The other end's payment, whose trace this one points to. */
  counterpart?: PaymentRef
}

/** An entry whose end is somewhere else than its beginning. */
export interface OpenSpan {
  /** Runs `work` below the span. */
  within<T>(work: () => T): T
  end(attributes: Attributes, failed: boolean): void
}

export interface Tracing {
  /** Runs `work` in a span, which ends with it. */
  span<T>(name: string, options: SpanOptions, work: () => Promise<T>): Promise<T>
  open(name: string, options: SpanOptions): OpenSpan
  /** The root of a payment's trace, for when the payment has come to be: from `startedAt` (ms since 1970) until now. */
  root(name: string, payment: PaymentRef, startedAtMs: number): void
  /** Adds to the active span. */
  note(attributes: Attributes): void
  /** Names the payment on the active span and on what is around it. */
  about(payment: PaymentRef): void
  /** Headers for requests to parts of this node and to its wallets; `undefined` outside of any span. */
  carried(): Record<string, string> | undefined
}

export interface TracerParts {
  tracer: Tracer
  /** Whether a trace of this id is recorded: the same answer in every process. */
  isSampled(traceId: string): boolean
  /** The span that `start` starts gets these ids. */
  withIds<T>(place: TracePlace, start: () => T): T
}

const PAYMENT = createContextKey('upesi.payment')
const SCOPE = createContextKey('upesi.scope')

/** What an entry's spans have learnt of the payment they are about. */
interface Scope {
  payment: PaymentRef
}

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
} as const

/** Refusals are answers: the span did what it was there for. No messages, which may hold what nobody outside may read. */
function noteError(span: Span, error: unknown): void {
  span.setAttribute('error.type', outcomeOf(error))
  if (!(error instanceof Refusal)) span.setStatus({ code: SpanStatusCode.ERROR })
}

export function createTracing({ tracer, isSampled, withIds }: TracerParts): Tracing {
  const remote = (place: TracePlace) => ({
    ...place,
    traceFlags: isSampled(place.traceId) ? 1 : 0,
    isRemote: true,
  })

  const paymentOf = (from: Context): PaymentRef => (from.getValue(PAYMENT) as PaymentRef | undefined) ?? {}

  const start = (name: string, options: SpanOptions) => {
    const active = options.isEntry ? ROOT_CONTEXT : context.active()
    const headers = options.caller ?? {}
    const payment = { ...paymentOf(active), ...parseBaggage(headers.baggage), ...options.payment }
    const links: Link[] = []
    const counterpart = options.counterpart && placeOf(options.counterpart)
    if (counterpart) links.push({ context: remote(counterpart) })
    let parent = active
    const caller = parseTraceparent(headers.traceparent)
    const place = placeOf(payment)
    const current = trace.getSpanContext(active)
    if (caller) parent = trace.setSpanContext(active, { ...caller, isRemote: true })
    else if (place && current?.traceId !== place.traceId) {
      if (current) links.push({ context: current })
      parent = trace.setSpanContext(active, remote(place))
    }
    const outer = active.getValue(SCOPE) as Scope | undefined
    const scope: Scope = outer ?? { payment: {} }
    Object.assign(scope.payment, payment)
    const span = tracer.startSpan(
      name,
      {
        kind: kinds[options.kind ?? 'internal'],
        attributes: { ...options.attributes, ...paymentAttributes(payment) },
        links,
      },
      parent,
    )
    const inside = trace.setSpan(parent, span).setValue(PAYMENT, payment).setValue(SCOPE, scope)
    const end = () => {
      // What was not known when it began.
      span.setAttributes(paymentAttributes(scope.payment))
      span.end()
    }
    return { span, inside, end }
  }

  return {
    async span(name, options, work) {
      const { span, inside, end } = start(name, options)
      try {
        return await context.with(inside, work)
      } catch (error) {
        noteError(span, error)
        throw error
      } finally {
        end()
      }
    },
    open(name, options) {
      const { span, inside, end } = start(name, options)
      return {
        within: (work) => context.with(inside, work),
        end(attributes, failed) {
          span.setAttributes(attributes)
          if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
          end()
        },
      }
    },
    root(name, payment, startedAtMs) {
      const place = placeOf(payment)
      if (!place) return
      const current = trace.getSpanContext(context.active())
      const links = current && current.traceId !== place.traceId ? [{ context: current }] : []
      const options = { root: true, startTime: startedAtMs, attributes: paymentAttributes(payment), links }
      withIds(place, () => tracer.startSpan(name, options)).end()
    },
    about(payment) {
      const active = context.active()
      const scope = active.getValue(SCOPE) as Scope | undefined
      if (scope) Object.assign(scope.payment, payment)
      trace.getSpan(active)?.setAttributes(paymentAttributes(payment))
    },
    note(attributes) {
      trace.getSpan(context.active())?.setAttributes(attributes)
    },
    carried() {
      const active = context.active()
      const current = trace.getSpanContext(active)
      if (!current) return undefined
      const baggage = toBaggage(paymentOf(active))
      return { traceparent: toTraceparent(current), ...(baggage !== '' && { baggage }) }
    },
  }
}
