import { Refusal } from '../platform/index.ts'

/** Another worker has claimed the job since: whatever this one found out, it may not write it. */
export class LeaseLost extends Refusal<'lease_lost'> {
  constructor(queue: string, key: string) {
    super('lease_lost', { message: `the lease of ${queue} ${key} was lost` })
  }
}
