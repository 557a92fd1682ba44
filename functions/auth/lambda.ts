import { createAuthHandlers } from './lambda-handlers.ts'

export const { auth, interaction, introspection, service, admin } = createAuthHandlers(process.env)
