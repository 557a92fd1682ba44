/** A parser under attack. */
export interface FuzzTarget {
  name: string
  /** Valid inputs; what is tried are these with damage. */
  corpus: readonly Buffer[]
  /** Throws when the parser did what it must not. Says whether it took the input. */
  check(bytes: Buffer): 'accepted' | 'refused'
}
