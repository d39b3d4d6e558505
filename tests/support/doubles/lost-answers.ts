// A DynamoDB whose answers get lost on the way back: the request was applied, and the client sees a
// broken connection. Below the SDK's retries, so that these are what is tested.

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'

/** Loses the answers to the next `count` requests, whatever they say. */
export function loseAnswers(client: DynamoDBClient, count: number): { left: () => number } {
  let left = count
  client.middlewareStack.add(
    next => async args => {
      if (left === 0) return next(args)
      left -= 1
      await next(args).catch(() => undefined)
      throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    },
    // The SDK retries at high priority of the same step.
    { step: 'finalizeRequest', priority: 'low', name: 'loseAnswers', override: true },
  )
  return { left: () => left }
}
