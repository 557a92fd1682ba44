import { createPaymentsHandlers } from './lambda-handlers.ts'

export const { handler, task } = createPaymentsHandlers(process.env)
