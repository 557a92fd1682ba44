import { createAutoPeeringHandlers } from './lambda-handlers.ts'

export const { handler } = createAutoPeeringHandlers(process.env)
