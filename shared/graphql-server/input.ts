import { isUuid, Refusal } from '../platform/index.ts'

/** What this room itself says no with; every service's table has them. */
export type ServerRefusalCode = 'invalid_input' | 'invalid_page'

/** An argument that the schema's types let through and that still makes no sense. */
export class InvalidInput extends Refusal<'invalid_input'> {
  constructor(message: string) {
    super('invalid_input', { message })
  }
}

/** A UUID in lower case. */
export function parseId(value: string, name: string): string {
  if (!isUuid(value)) throw new InvalidInput(`${name} must be a UUID`)
  return value.toLowerCase()
}
