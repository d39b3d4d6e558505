// Owns the commit-log producer's client: kafkajs, idempotent, acknowledged by all in-sync replicas.
// Survives a restart of the broker and a reset of the topic; gives up after about a minute.

import { ReplicatorError } from '../../lib/io/failure/replicator-error.ts'
import { createKafkaJs } from '../kafkajs/kafkajs-client.ts'
import { kafkaJsError, kafkaJsFailure } from '../kafkajs/kafkajs-failure.ts'
import type { CommitLogEvent } from './event.ts'
import { partitionOfKey } from './key-partitioner.ts'

const CLIENT_ID = 'gapless-produce'
const ACKS_OF_ALL_IN_SYNC_REPLICAS = -1

/** A broker that does not answer at the start is reported at once. */
const PROBE_RETRIES = 1

/**
 * A send is retried when a broker stops answering: after 200 ms, doubling to 2 s, about a minute in
 * all. kafkajs retries instead of a loop of ours, because it knows which brokers have acknowledged
 * their part of a send.
 */
const SEND_RETRIES = 30

export type CommitLogSender = {
  readonly partitions: number
  send(events: readonly CommitLogEvent[]): Promise<void>
  close(): Promise<void>
}

/** Connects. @throws ReplicatorError when no broker answers or the topic does not exist. */
export async function openSender(input: {
  readonly brokers: readonly string[]
  readonly topic: string
}): Promise<CommitLogSender> {
  const { brokers, topic } = input
  const connect = (retries: number) =>
    createKafkaJs({ brokers: [...brokers], tls: false }, CLIENT_ID, retries)
  const explain = (operation: string, error: unknown) =>
    kafkaJsError({ error, where: `Kafka at ${brokers.join(', ')}`, operation, brokers })
  const partitions = await countPartitions(connect(PROBE_RETRIES).admin(), input, explain)
  const producer = connect(SEND_RETRIES).producer({
    idempotent: true,
    allowAutoTopicCreation: false,
    maxInFlightRequests: 1,
    retry: { retries: SEND_RETRIES },
    createPartitioner:
      () =>
      ({ message, partitionMetadata }) =>
        partitionOfKey(String(message.key), partitionMetadata.length),
  })
  try {
    await producer.connect()
  } catch (error) {
    await producer.disconnect()
    throw explain(`connect a producer to topic ${topic}`, error)
  }
  return {
    partitions,
    async send(events) {
      try {
        await producer.send({ topic, acks: ACKS_OF_ALL_IN_SYNC_REPLICAS, messages: [...events] })
      } catch (error) {
        throw explain(`send to topic ${topic}`, error)
      }
    },
    close: () => producer.disconnect(),
  }
}

async function countPartitions(
  admin: ReturnType<ReturnType<typeof createKafkaJs>['admin']>,
  { brokers, topic }: { readonly brokers: readonly string[]; readonly topic: string },
  explain: (operation: string, error: unknown) => Error,
): Promise<number> {
  try {
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0]?.partitions.length ?? 1
  } catch (error) {
    if (kafkaJsFailure(error).errorName !== 'UNKNOWN_TOPIC_OR_PARTITION') {
      throw explain(`look up topic ${topic}`, error)
    }
    throw new ReplicatorError({
      code: 'cluster-refused',
      message: `Topic ${topic} does not exist at ${brokers.join(', ')}.`,
      hint: 'Create it (kafka-topics --create), or correct --topic: gapless topics lists the topics.',
      cause: error,
    })
  } finally {
    await admin.disconnect()
  }
}
