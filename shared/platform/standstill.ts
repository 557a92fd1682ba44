/** For so long nobody on the way forgets a connection that says nothing. */
const TRUSTED_MS = 5_000

export interface Standstill {
  /** Does `recover` when everything has stood still for a while, or may have. */
  begin(): Promise<void>
  end(): void
}

/**
 * While a sandbox is frozen its servers and what lies between give up its connections, and it hears nothing of that: the first to use
 * one would fail. `now` is the wall's clock, because a monotonic one may stand still as well.
 */
export function createStandstill(
  recover: () => Promise<unknown>,
  now: () => number = () => Date.now(),
): Standstill {
  let restsSinceMs = now()
  return {
    async begin() {
      const restedMs = now() - restsSinceMs
      if (restedMs < 0 || restedMs >= TRUSTED_MS) await recover()
    },
    end() {
      restsSinceMs = now()
    },
  }
}
