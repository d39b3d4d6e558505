// The process in which a bundled handler is measured. It stands for Lambda's runtime client: loads
// the handler, invokes it once, and exits. It is bundled before it runs (gapless.ts), so that no
// compilation of TypeScript is part of a measured start.

export type HostOrder = {
  /** The module that exports `handler`. */
  readonly module: string
  readonly event: unknown
  /** The function's time-out, ms from the start. */
  readonly timeoutMs: number
}

const order = JSON.parse(process.argv[2] ?? '') as HostOrder
const deadlineMs = Date.now() + order.timeoutMs
const { handler } = (await import(order.module)) as {
  handler: (event: unknown, context: unknown) => Promise<unknown>
}
await handler(order.event, {
  awsRequestId: '00000000-0000-0000-0000-000000000000',
  functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:replicate',
  memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
  getRemainingTimeInMillis: () => deadlineMs - Date.now(),
})
process.exit(0)
