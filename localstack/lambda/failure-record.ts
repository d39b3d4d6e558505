// Owns the record that Lambda makes of an asynchronous invocation that failed, for the stand-ins of
// Lambda on this machine, which have no destinations. Its fields are those of AWS
// (tests/support/failure-records.ts has examples).

/** What Lambda says of the function's own error, of a time-out, or of a process that died. */
export type FunctionFailure = { readonly errorType: string; readonly errorMessage: string }

export function createFailureRecord(input: {
  readonly requestId: string
  readonly functionName: string
  readonly event: unknown
  readonly failure: FunctionFailure
  readonly nowMs: number
}) {
  const { requestId, functionName, event, failure, nowMs } = input
  return {
    version: '1.0',
    timestamp: new Date(nowMs).toISOString(),
    requestContext: {
      requestId,
      functionArn: `arn:aws:lambda:us-east-1:000000000000:function:${functionName}:$LATEST`,
      condition: 'RetriesExhausted',
      approximateInvokeCount: 1,
    },
    requestPayload: event,
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    responsePayload: failure,
  }
}
