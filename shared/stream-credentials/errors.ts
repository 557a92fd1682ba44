import { Refusal } from '../platform/index.ts'

/** What should go into the address does not fit, or is not what it must be. */
export class InvalidStreamCredentials extends Refusal<'invalid_stream_credentials'> {
  constructor(message: string) {
    super('invalid_stream_credentials', { message })
  }
}
