import { createOpenPaymentsHandlers } from './lambda-handlers.ts'

export const { handler } = createOpenPaymentsHandlers(process.env)
