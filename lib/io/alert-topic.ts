// Owns publishing a notification to the alert topic of the stack (SNS). Without an alert topic (the
// local stage) no notification is sent and none is marked as told, so they are sent once an alert
// topic is configured.

import { PublishCommand, SNSClient } from '@aws-sdk/client-sns'
import type { Notification } from '../core/monitoring/notification.ts'
import { ReplicatorError } from './failure/replicator-error.ts'

const publishAttemptsMax = 3

// SNS answers within tens of milliseconds. All attempts together take some ten seconds of the
// two minutes of `watch`.
const connectTimeoutMs = 2_000
const requestTimeoutMs = 3_000

export type Notify = (notification: Notification) => Promise<void>

/** Null where GAPLESS_ALERT_TOPIC names no topic. Throws `ReplicatorError` when SNS refuses. */
export function createNotify(env: NodeJS.ProcessEnv): Notify | null {
  const arn = env.GAPLESS_ALERT_TOPIC
  if (arn === undefined || arn === '') return null
  const client = new SNSClient({
    maxAttempts: publishAttemptsMax,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Without this option a time-out is only a warning.
      throwOnRequestTimeout: true,
    },
  })
  return async ({ subject, text }) => {
    const command = new PublishCommand({ TopicArn: arn, Subject: subject, Message: text })
    try {
      await client.send(command)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new ReplicatorError({
        code: 'notification-refused',
        message: `The alert topic ${arn} did not accept "${subject}": ${why}.`,
        hint: hintOf(cause),
        cause,
      })
    }
  }
}

function hintOf(cause: unknown): string {
  const again = 'watch sends the notification again on every tick.'
  const isSilent = cause instanceof Error && cause.name === 'TimeoutError'
  return isSilent
    ? `Check the network path from watch to SNS (an interface endpoint or a NAT gateway); ${again}`
    : `Grant sns:Publish on it to the role of watch; ${again}`
}
