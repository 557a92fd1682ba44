import { createWebhooksHandlers } from './lambda-handlers.ts'

export const { handler, task } = createWebhooksHandlers(process.env)
