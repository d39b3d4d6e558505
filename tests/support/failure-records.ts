// Records that Lambda sends to a destination when an asynchronous invocation fails, one for each
// way in which a worker fails. The shapes are those that AWS sends: "Capturing records of Lambda
// asynchronous invocations" in Lambda's documentation, and records captured from AWS in public
// repositories. The names and ids are examples.

export const requestId = 'e4b46cbf-b738-4880-8a18-cdf61200e001'
const account = '123456789012'

/** The event of a worker that `plan` invoked. */
export const workerEvent = {
  flow: 'orders',
  worker: '7c0f9e52-5d1a-4b60-9d55-0a4f1de0c1aa',
  partitions: [{ topic: 'orders.log', partition: 0, topicIsKnown: true }],
}

export type FailureRecord = ReturnType<typeof failureRecord>

export function failureRecord(
  responsePayload: unknown,
  {
    functionName = 'gapless-prod-replicate',
    requestPayload = workerEvent as unknown,
    condition = 'RetriesExhausted',
    id = requestId,
  } = {},
) {
  return {
    version: '1.0',
    timestamp: '2026-11-30T10:15:04.231Z',
    requestContext: {
      requestId: id,
      functionArn: `arn:aws:lambda:eu-central-1:${account}:function:${functionName}:$LATEST`,
      condition,
      approximateInvokeCount: 1,
    },
    requestPayload,
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    responsePayload,
  }
}

const { responseContext: _none, ...neverRan } = failureRecord(null, {
  condition: 'EventAgeExceeded',
})

/** By what happened to the worker, with what a person reads of it. */
export const workerFailures = {
  'a time-out': {
    record: failureRecord({
      errorType: 'Sandbox.Timedout',
      errorMessage: `RequestId: ${requestId} Error: Task timed out after 900.00 seconds`,
    }),
    detail: `Sandbox.Timedout: RequestId: ${requestId} Error: Task timed out after 900.00 seconds`,
  },
  'a time-out, told as in the log': {
    record: failureRecord({
      errorMessage: `2026-11-30T10:15:04.229Z ${requestId} Task timed out after 900.00 seconds`,
    }),
    detail: `2026-11-30T10:15:04.229Z ${requestId} Task timed out after 900.00 seconds`,
  },
  'a process that ran out of memory': {
    record: failureRecord({
      errorType: 'Runtime.ExitError',
      errorMessage: `RequestId: ${requestId} Error: Runtime exited with error: signal: killed`,
    }),
    detail: `Runtime.ExitError: RequestId: ${requestId} Error: Runtime exited with error: signal: killed`,
  },
  'an error of the handler, for a halted partition': {
    record: failureRecord({
      errorType: 'Error',
      errorMessage: '1 of 1 partitions need attention: orders.log-0 halted',
      trace: ['Error: 1 of 1 partitions need attention', '    at run (file:///var/task/x.mjs:1:1)'],
    }),
    detail: 'Error: 1 of 1 partitions need attention: orders.log-0 halted',
  },
  'an event that waited for a minute and never ran': {
    record: neverRan,
    detail: 'EventAgeExceeded',
  },
} as const
