// Owns invoking a function. In AWS an invocation is asynchronous (`Event`). Where
// serverless-offline simulates Lambda in one process, the response is awaited
// (`RequestResponse`), because an asynchronous invocation that fails would end that process.

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { errorText } from '../core/error-text.ts'

const invokeAttemptsMax = 3

/**
 * Three attempts of either end within the ten seconds that a worker keeps in reserve. Lambda
 * accepts an asynchronous invocation in tens of milliseconds.
 */
const connectTimeoutMs = 1_000
const acceptTimeoutMs = 2_000

export type InvocationType = 'Event' | 'RequestResponse'

export type InvocationOutcome =
  | { readonly kind: 'started' }
  | { readonly kind: 'succeeded' }
  /** The function ran and failed, or could not be invoked; `detail` says which and why. */
  | { readonly kind: 'failed'; readonly detail: string }

export type FunctionInvoker = (payload: unknown) => Promise<InvocationOutcome>

const functionVariables = {
  replicate: 'GAPLESS_REPLICATE_FUNCTION',
  plan: 'GAPLESS_PLAN_FUNCTION',
} as const

/** Reads from the environment the name of the function to invoke, and how to invoke it. */
export function invocationOf(env: NodeJS.ProcessEnv, which: keyof typeof functionVariables) {
  const isAwaited = env.GAPLESS_INVOCATION_TYPE === 'RequestResponse'
  return {
    functionName: env[functionVariables[which]] ?? `gapless-local-${which}`,
    invocationType: isAwaited ? ('RequestResponse' as const) : ('Event' as const),
  }
}

/**
 * Invokes the function and never waits for its end. With `Event` the promise resolves when Lambda
 * has accepted the invocation; with `RequestResponse` it resolves at once. `onFailed` is called
 * when the invocation fails, however late.
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
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      // The answer to an awaited invocation takes as long as the worker runs.
      requestTimeout: invocationType === 'Event' ? acceptTimeoutMs : 0,
      // Without this option a time-out is only a warning, and an endpoint that does not answer
      // would be awaited until Lambda ends the function.
      throwOnRequestTimeout: true,
    },
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
      const why = errorText(error)
      return { kind: 'failed', detail: `cannot invoke ${functionName}: ${why}` }
    }
  }
}
