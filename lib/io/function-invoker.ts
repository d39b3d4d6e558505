// Owns invoking the replicate function. In AWS workers are started and left alone (`Event`); where
// invocations are simulated in one process, the answer is awaited, because a rejected asynchronous
// one would end that process.

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'

const invokeAttemptsMax = 3

export type InvocationType = 'Event' | 'RequestResponse'

export type InvocationOutcome =
  | { readonly kind: 'started' }
  | { readonly kind: 'succeeded' }
  /** The function ran and failed, or could not be invoked; `detail` says which and why. */
  | { readonly kind: 'failed'; readonly detail: string }

export type FunctionInvoker = (payload: unknown) => Promise<InvocationOutcome>

/** What the two functions are told of each other by their environment. */
export function invocationOf(env: NodeJS.ProcessEnv) {
  const isAwaited = env.GAPLESS_INVOCATION_TYPE === 'RequestResponse'
  return {
    functionName: env.GAPLESS_REPLICATE_FUNCTION ?? 'gapless-local-replicate',
    invocationType: isAwaited ? ('RequestResponse' as const) : ('Event' as const),
  }
}

/**
 * Invokes and never waits for the end of what was invoked. In AWS it resolves when the invocation
 * is accepted; where answers would be awaited, at once, and `onFailed` is told later, if ever.
 */
export function createFunctionStarter(
  input: Parameters<typeof createFunctionInvoker>[0],
): (payload: unknown, onFailed: (detail: string) => void) => Promise<void> {
  const invoke = createFunctionInvoker(input)
  return async (payload, onFailed) => {
    const answered = invoke(payload).then(outcome => {
      if (outcome.kind === 'failed') onFailed(outcome.detail)
    })
    if (input.invocationType === 'Event') await answered
  }
}

export function createFunctionInvoker(input: {
  readonly functionName: string
  readonly invocationType: InvocationType
}): FunctionInvoker {
  const { functionName, invocationType } = input
  // Between two ticks the endpoint closes idle connections, and a process that was frozen learns of
  // it only when its request breaks (ECONNRESET). With a single attempt that tick would hand out no
  // work. An invocation that arrives twice is harmless: the second worker finds the leases taken.
  const client = new LambdaClient({
    maxAttempts: invokeAttemptsMax,
    requestHandler: { requestTimeout: 0 },
  })
  return async payload => {
    const command = new InvokeCommand({
      FunctionName: functionName,
      InvocationType: invocationType,
      Payload: JSON.stringify(payload),
    })
    try {
      const answer = await client.send(command)
      if (invocationType === 'Event') return { kind: 'started' }
      if (answer.FunctionError === undefined) return { kind: 'succeeded' }
      return { kind: 'failed', detail: answer.Payload?.transformToString() ?? answer.FunctionError }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return { kind: 'failed', detail: `cannot invoke ${functionName}: ${why}` }
    }
  }
}
