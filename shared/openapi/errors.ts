import { Refusal } from '../platform/index.ts'

/** A request that its operation's schema does not admit. `message` is the description that goes on the wire. */
export class RequestInvalid extends Refusal<'request_invalid'> {
  /** 400 for content, 406 when JSON is not acceptable, 415 for another media type. */
  readonly status: 400 | 406 | 415
  constructor(status: 400 | 406 | 415, problem: string) {
    super('request_invalid', { message: `Received error validating OpenAPI request: ${problem}` })
    this.status = status
  }
}

/** Our own answer does not follow the specification: a bug, found by tests. */
export class ResponseInvalid extends Refusal<'response_invalid'> {
  constructor(problem: string) {
    super('response_invalid', { message: `Received error validating OpenAPI response: ${problem}` })
  }
}
