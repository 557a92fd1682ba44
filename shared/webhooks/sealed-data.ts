import { type SecretBox, sealedParts } from '../platform/index.ts'

/** What an event's sealed words are bound to. */
export const dataFromSenderPlace = (eventId: string): string => `webhook-event-data:${eventId}`

/** Words of a sender, as an event keeps them. */
export const sealDataFromSender = (
  ctx: { secretBox: Pick<SecretBox, 'seal'> },
  input: { eventId: string; text: string },
): string => ctx.secretBox.seal(input.text, dataFromSenderPlace(input.eventId))

interface StoredData {
  data: Record<string, unknown>
  sealedDataFromSender?: string | undefined
}

/** `data` as the wallet gets it. Throws a fault, `secret_unreadable`. */
export const openData = (
  ctx: { secretBox: Pick<SecretBox, 'open'> },
  { id, data, sealedDataFromSender: sealed }: StoredData & { id: string },
): Record<string, unknown> =>
  sealed === undefined
    ? data
    : { ...data, dataFromSender: ctx.secretBox.open(sealed, dataFromSenderPlace(id)) }

/** `data` as it is stored, for those who look at events: with the cipher in place of the words (webhooks.md §3). */
export const storedData = ({ data, sealedDataFromSender: sealed }: StoredData): Record<string, unknown> =>
  sealed === undefined ? data : { ...data, dataFromSender: sealedParts(sealed) }
