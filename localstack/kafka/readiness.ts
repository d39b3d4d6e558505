// Whether a broker is ready, and the line of its log that says why it is not.

import { setTimeout as delay } from 'node:timers/promises'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { errorText } from '../../lib/core/error-text.ts'
import { isPortOpen, localAddress } from '../processes/ports.ts'

const pollMs = 100
/** A start takes about 6 s on two idle cores; a broker that takes twenty times that is stuck. */
const readyDeadlineMs = 120_000
const requestTimeoutMs = 5_000

/**
 * Resolves when the broker answers Metadata with the expected cluster id and validates the creation
 * of a topic. That proves its controller and its registration; an open port proves neither.
 * @param broker.ended returns how the process ended, once it has.
 */
export async function waitForBroker(broker: {
  port: number
  clusterId: string
  ended: () => string | undefined
}): Promise<void> {
  const deadline = Date.now() + readyDeadlineMs
  let last = 'no process listens on its port'
  while (Date.now() < deadline) {
    const end = broker.ended()
    if (end !== undefined) throw new Error(`the process ended (${end})`)
    if (await isPortOpen(broker.port)) {
      const answer = await askBroker(broker.port)
      if (answer.kind === 'ready' && answer.clusterId === broker.clusterId) return
      last = answer.kind === 'ready' ? `cluster ${answer.clusterId} answers` : answer.reason
    }
    await delay(pollMs)
  }
  throw new Error(`not ready after ${readyDeadlineMs / 1_000} s: ${last}`)
}

export type BrokerAnswer = { kind: 'ready'; clusterId: string } | { kind: 'silent'; reason: string }

/** One attempt without retries. Creates nothing. */
export async function askBroker(port: number): Promise<BrokerAnswer> {
  const admin = new kafkajs.Kafka({
    clientId: 'gapless-localstack',
    brokers: [`${localAddress}:${port}`],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry: { retries: 0 },
  }).admin()
  try {
    await admin.connect()
    const { clusterId } = await admin.describeCluster()
    await admin.createTopics({
      validateOnly: true,
      waitForLeaders: false,
      timeout: requestTimeoutMs,
      topics: [{ topic: '__gapless-readiness', numPartitions: 1, replicationFactor: 1 }],
    })
    return { kind: 'ready', clusterId }
  } catch (error) {
    return { kind: 'silent', reason: errorText(error) }
  } finally {
    await admin.disconnect()
  }
}

/** The line of a broker's log that says why it died, without its time stamp; or undefined. */
export function findKafkaError(log: string): string | undefined {
  const lines = log.split('\n').map(line => line.trim())
  const causes = lines.filter(line =>
    /^(Caused by: |Exception in thread |[\w.]+(Exception|Error): )/.test(line),
  )
  const bind = lines.find(line => line.includes('Address already in use'))
  const logged = lines.find(line => / ERROR /.test(line))
  const found = bind ?? causes.at(-1) ?? logged
  return found?.replace(/^Caused by: /, '').replace(/^.* ERROR /, '')
}
