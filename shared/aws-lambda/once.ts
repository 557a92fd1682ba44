/**
 * What is opened once per sandbox, and now: nobody waits yet, and Lambda gives a sandbox that starts all of a processor. What failed is
 * tried again by the invocation that needs it. `later`: not before somebody needs it.
 */
export function openOnce<T>(open: () => Promise<T>, options: { later?: boolean } = {}): () => Promise<T> {
  let opening: Promise<T> | undefined
  const opened = () => {
    if (opening === undefined) {
      const asked = open()
      opening = asked
      asked.catch(() => {
        if (opening === asked) opening = undefined
      })
    }
    return opening
  }
  if (!options.later) opened().catch(() => undefined)
  return opened
}
