import { createAuthHandlers } from './lambda-handlers.ts'

export const { auth, interaction, introspection, service, admin, task } = createAuthHandlers(process.env)
