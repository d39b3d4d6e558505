// Loses answers of DynamoDB: the request is applied, and the client sees a broken connection. Works
// below the SDK's retries, so that a test covers these retries.

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'

/** Loses the answers to the next `count` requests, after `answered` others. */
export function loseAnswers(
  client: DynamoDBClient,
  count: number,
  answered = 0,
): { left: () => number } {
  let left = count
  let before = answered
  client.middlewareStack.add(
    next => async args => {
      if (left === 0) return next(args)
      if (before > 0) {
        before -= 1
        return next(args)
      }
      left -= 1
      await next(args).catch(() => undefined)
      throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    },
    // The SDK's retries have high priority in the same step.
    { step: 'finalizeRequest', priority: 'low', name: 'loseAnswers', override: true },
  )
  return { left: () => left }
}
