import { Refusal } from '../platform/index.ts'

export type WebhookRefusalCode = 'unknown_webhook_event'

export class WebhookRefusal extends Refusal<WebhookRefusalCode> {}
