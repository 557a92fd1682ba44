/** A piece of code that keeps an attack out, and the test that notices when it is gone. */
export interface Guard {
  /** What it keeps, as a clause. */
  name: string
  /** From the root of the repository. */
  file: string
  /** Stands in the file exactly once. */
  text: string
  /** What stands there when the guard is removed: code that runs, without the guard. */
  without: string
  test: TestRef
}

export interface TestRef {
  file: string
  /** The test's name, or a part of it that no other test of the file has; a suite's name stands for its tests. */
  name: string
}

/** An attack, with everything that stands against it. */
export interface Threat {
  name: string
  guards: readonly Guard[]
}

/** One of the tables of docs/security-tests.md. */
export interface ThreatTable {
  title: string
  /** A sentence or two below the title. */
  about: string
  threats: readonly Threat[]
}
