/** An event that this function is not there for: whoever connected the two is to be told, by an invocation that fails. */
export class EventRefused extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'EventRefused'
  }
}
