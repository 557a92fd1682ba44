import { createAutoPeeringHandlers } from './lambda-handlers.ts'

export const { handler, task } = createAutoPeeringHandlers(process.env)
