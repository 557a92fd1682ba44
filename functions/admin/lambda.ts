import { createAdminHandlers } from './lambda-handlers.ts'

export const { handler } = createAdminHandlers(process.env)
