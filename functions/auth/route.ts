import type { FastifyRequest } from 'fastify'
import type { Operation } from '../../shared/openapi/index.ts'
import type { AuthContext } from './context.ts'

/** An operation of the specification, and the listener's own path for it. */
export interface AuthRoute {
  operation: Operation
  url: string
  answer(ctx: AuthContext, request: FastifyRequest): Promise<{ status: number; body?: object }>
}
