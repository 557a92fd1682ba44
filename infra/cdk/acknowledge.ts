// What cdk-nag finds and stays, with the reason, which the tests ask for.
import { Validations } from 'aws-cdk-lib/core'
import type { IConstruct } from 'constructs'

/** Rules, or single findings as `rule[finding]`, with the reason why each stays at this construct and below. */
export function acknowledge(construct: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [id, reason] of Object.entries(reasons)) Validations.of(construct).acknowledge({ id, reason })
}
