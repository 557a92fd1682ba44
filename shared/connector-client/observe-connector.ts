import { type HistogramName, type Telemetry, timed } from '../telemetry/index.ts'
import type { ConnectorClient } from './model.ts'

/** Times what functions wait for when they quote. */
export function observeConnector({ instruments }: Telemetry, client: ConnectorClient): ConnectorClient {
  const timer = <I, R>(name: HistogramName, call: (input: I) => Promise<R>) => {
    const times = instruments.histogram(name)
    return (input: I) => timed(times, () => call(input))
  }
  return {
    ...client,
    probe: timer('ilp_rate_probe_time_ms', client.probe),
    getPrice: timer('ilp_get_quote_rate_time_ms', client.getPrice),
  }
}
