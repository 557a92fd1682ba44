export interface Gate {
  /** Resolves when somebody wakes it, or after `timeoutMs`. A call to wake while nobody waits is remembered. */
  wait(timeoutMs?: number): Promise<void>
  wake(): void
}

/** One sleeper, woken early. */
export function createGate(): Gate {
  let open = false
  let release: (() => void) | undefined
  return {
    async wait(timeoutMs) {
      if (!open) {
        let timer: NodeJS.Timeout | undefined
        await new Promise<void>((resolve) => {
          release = resolve
          if (timeoutMs !== undefined) timer = setTimeout(resolve, timeoutMs)
        })
        clearTimeout(timer)
        release = undefined
      }
      open = false
    },
    wake() {
      open = true
      release?.()
    },
  }
}
