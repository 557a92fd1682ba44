/**
 * What stands around a Lambda function, in this process: the HTTP API or load balancer that turns requests into events, and the
 * event source mapping between a queue and a handler. The handlers are the real ones; what is true here is what AWS documents
 * about events, answers and failures.
 */
export {
  type EventSourceMapping,
  type EventSourceMappingOptions,
  startEventSourceMapping,
} from './event-source-mapping.ts'
export { type GatewayOptions, type LambdaGateway, startLambdaGateway } from './gateway.ts'
export { type FunctionOptions, FunctionTimedOut, invokeFunction, type LambdaHandler } from './invoke.ts'
