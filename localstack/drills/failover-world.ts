// The tools of the fail-over drill: two clusters and a table of their own, so that killing a
// primary disturbs nobody, an application that writes and one that reads on either cluster, and
// the command line. Does not own the story (failover-story.ts).

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Consumer, Kafka, Producer } from 'kafkajs'
import { createEventSource } from '../../cli/commit-log/event.ts'
import { createKafkaJs } from '../../cli/kafkajs/kafkajs-client.ts'
import { readPartition } from '../kafka/partition-reader.ts'
import { StackError } from '../processes/stack-error.ts'
import { until } from '../processes/until.ts'
import {
  removeStarted,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../scratch/brokers.ts'
import { createTopic } from '../scratch/topics.ts'
import { runGapless } from './run-gapless.ts'

export type Side = 'primary' | 'standby'
export type DrillWorld = Awaited<ReturnType<typeof openDrillWorld>>

export const drillFlow = 'drill'
const exportTopic = 'divergent'
export const drillTopic = 'orders'
export const drillGroup = 'billing'
export const drillPartitions = 3

const eventBytes = 200
/** Events of one send of the writing application. */
const sendEvents = 20
const clientRetries = 5

export async function openDrillWorld() {
  const [primary, standby, aws] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
  ])
  const clusters: Record<Side, TestCluster> = { primary, standby }
  const directory = await mkdtemp(join(tmpdir(), 'gapless-drill-'))
  const configFile = join(directory, 'gapless.yml')
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify(configOf(clusters)))
  const env = { ...process.env, ...aws.env, GAPLESS_CONFIG: configFile }
  const clientOf = (side: Side) => clientFor(clusters[side])
  await createTopic(clientOf('primary'), drillTopic, { partitions: drillPartitions })
  const made = await runGapless(['init'], env)
  if (made.code !== 0) throw new StackError('"gapless init" failed:', made.stderr.trim())
  return {
    clusters,
    gapless: (args: readonly string[]) => runGapless(args, env),
    write: (side: Side) => startWriting(clientOf(side)),
    read: (side: Side) => startReading(clientOf(side)),
    exportFile: join(directory, 'divergent.jsonl'),
    exportTopic,
    /** Records of the exported topic, by kafkajs. */
    exportedRecords: async (): Promise<number> => {
      const records = await readPartition(clientOf('standby'), { topic: exportTopic, partition: 0 })
      return records.length
    },
    /** The ids of all events of the topic, by kafkajs. */
    idsOn: async (side: Side): Promise<string[]> => {
      const ids: string[] = []
      for (let partition = 0; partition < drillPartitions; partition += 1) {
        const records = await readPartition(clientOf(side), { topic: drillTopic, partition })
        ids.push(...records.map(each => String(each.key)))
      }
      return ids
    },
    close: async () => {
      await removeStarted()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function configOf(clusters: Record<Side, TestCluster>): object {
  return {
    clusters: {
      primary: { brokers: clusters.primary.brokers.split(',') },
      standby: { brokers: clusters.standby.brokers.split(',') },
    },
    flows: [
      {
        name: drillFlow,
        from: 'primary',
        to: 'standby',
        topics: [drillTopic],
        naming: 'identity',
        groups: [drillGroup],
      },
    ],
  }
}

function clientFor({ brokers }: TestCluster): Kafka {
  return createKafkaJs({ brokers: brokers.split(','), tls: false }, 'gapless-drill', clientRetries)
}

/** An application that writes; what a broker acknowledged to it is what it counts. */
export type Writing = {
  readonly acknowledged: string[]
  /** Ids that were sent, and whose acknowledgement did not come. */
  readonly unknown: string[]
  /** When the last acknowledgement came, Unix time, ms. */
  lastAtMs(): number
  /** Ends when every send has ended. */
  stop(): Promise<void>
}

async function startWriting(kafka: Kafka): Promise<Writing> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const acknowledged: string[] = []
  const unknown: string[] = []
  const events = createEventSource(eventBytes, Date.now)
  let isStopping = false
  let lastAtMs = 0
  const writing = (async () => {
    while (!isStopping) {
      const batch = events.take(sendEvents)
      const ids = batch.map(each => each.key)
      try {
        await send(producer, batch)
        acknowledged.push(...ids)
        lastAtMs = Date.now()
      } catch {
        // The cluster is gone: the application does not know whether the batch was stored.
        unknown.push(...ids)
        return
      }
    }
  })()
  return {
    acknowledged,
    unknown,
    lastAtMs: () => lastAtMs,
    stop: async () => {
      isStopping = true
      await writing
      await producer.disconnect()
    },
  }
}

async function send(
  producer: Producer,
  events: readonly { readonly key: string; readonly value: string }[],
): Promise<void> {
  const messages = events.map(({ key, value }, index) => ({
    key,
    value,
    partition: index % drillPartitions,
  }))
  await producer.send({ topic: drillTopic, acks: -1, messages })
}

/** An application that reads in its group, and commits what it has read. */
export type Reading = {
  /** The ids of the events in the order in which they were read. */
  readonly ids: readonly string[]
  /** When the first event was read, Unix time, ms; null before. */
  firstAtMs(): number | null
  untilRead(count: number): Promise<void>
  /** Commits what was read and leaves the group. */
  stop(): Promise<void>
}

async function startReading(kafka: Kafka): Promise<Reading> {
  const consumer: Consumer = kafka.consumer({ groupId: drillGroup, maxWaitTimeInMs: 100 })
  const ids: string[] = []
  let firstAtMs: number | null = null
  await consumer.connect()
  await consumer.subscribe({ topic: drillTopic, fromBeginning: true })
  await consumer.run({
    autoCommit: true,
    autoCommitInterval: 200,
    eachMessage: async ({ message }) => {
      firstAtMs ??= Date.now()
      ids.push(String(message.key))
    },
  })
  return {
    ids,
    firstAtMs: () => firstAtMs,
    untilRead: count => until(`${count} events are read`, async () => ids.length >= count),
    // kafkajs commits what was processed before it leaves.
    stop: async () => {
      await consumer.stop()
      await consumer.disconnect()
    },
  }
}
