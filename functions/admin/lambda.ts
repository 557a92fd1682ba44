import { createAdminHandlers } from './lambda-handlers.ts'

export const { handler, task } = createAdminHandlers(process.env)
