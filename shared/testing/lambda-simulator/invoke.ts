import { randomUUID } from 'node:crypto'
import type { Context } from 'aws-lambda'

/** A handler as a bundle exports it: what comes and goes is data. */
export type LambdaHandler = (event: never, context: Context) => unknown

export interface FunctionOptions {
  /** In the context and in what the event says of its source. */
  functionName?: string
  /** How long the function may run, as its configuration says. */
  timeoutMs?: number
}

export class FunctionTimedOut extends Error {
  constructor(timeoutMs: number) {
    super(`Task timed out after ${(timeoutMs / 1000).toFixed(2)} seconds`)
  }
}

export const ACCOUNT_ID = '000000000000'
export const REGION = 'us-east-1'
const asJson = (value: unknown): unknown =>
  value === undefined ? undefined : JSON.parse(JSON.stringify(value))

/** One invocation. Event and answer pass as JSON, so that nothing else gets through here that would not there. */
export async function invokeFunction(
  handler: LambdaHandler,
  event: unknown,
  { functionName = 'function', timeoutMs = 30_000 }: FunctionOptions = {},
): Promise<unknown> {
  const deadline = Date.now() + timeoutMs
  const requestId = randomUUID()
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:${functionName}`,
    memoryLimitInMB: '1024',
    awsRequestId: requestId,
    logGroupName: `/aws/lambda/${functionName}`,
    logStreamName: requestId,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  }
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new FunctionTimedOut(timeoutMs)), timeoutMs)
  })
  try {
    return asJson(
      await Promise.race([
        (async () => handler(asJson(event) as never, context as unknown as Context))(),
        timeout,
      ]),
    )
  } finally {
    clearTimeout(timer)
  }
}
