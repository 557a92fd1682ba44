/**
 * AWS Lambda is how an app or a worker that also runs as a server runs in sandboxes that are started for a request and frozen after
 * its answer. What is always true: a sandbox opens what it stands on once, before its first invocation if it can; what a request is
 * (scheme, host, raw path and query, source) is the gateway's word; nothing is left for after the answer.
 */
export { EventRefused } from './errors.ts'
export type { HttpEventKind } from './http-event.ts'
export { createHttpHandler, type HttpHandler, type HttpSandbox } from './http-handler.ts'
export { createHandler, type Sandbox } from './invocation.ts'
export { openOnce } from './once.ts'
export { createQueueHandler, type QueueHandler, type QueueSandbox } from './queue-handler.ts'
export { withAwsSecrets } from './secrets.ts'
export { createTaskHandler, type TaskHandler, type TaskSandbox } from './task-handler.ts'
export { createWorkerHandlers, type WorkerSandbox } from './worker-handlers.ts'
