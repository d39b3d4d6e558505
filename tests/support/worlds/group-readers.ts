// Consumers of each kind of client that read a part of a topic as members of a group, and producers
// of the records that they read. What a reader hands out is what it has committed behind.

import { Consumer as PlatformaticConsumer, stringDeserializers } from '@platformatic/kafka'
import type { Kafka } from 'kafkajs'
import { readWithJava, streamWithJava } from '../java/java-client.ts'
import type { BrokerFeature } from '../kafka/broker-features.ts'
import type { SharedFlowFixture } from './flow-fixture.ts'
import { records } from './group-world.ts'

export type Side = 'source' | 'target'

/** Reads `count` records as the group, commits behind them, leaves; their values in order. */
export type Reading = (on: Side, topic: string, group: string, count: number) => Promise<string[]>

export type Kind = {
  readonly read: Reading
  /** False: an application of Kafka Streams has processed all that it polled before it ends. */
  readonly canStopInPart: boolean
  /** What brokers must have for it; null: every version has it. */
  readonly needs: BrokerFeature | null
}

/** Each kind of client, by its name in the titles of tests. */
export const kindsOfClient = [
  'a Java consumer of the classic protocol',
  'a Java consumer of KIP-848',
  'a Kafka Streams application of the classic protocol',
  'a Kafka Streams application of KIP-1071',
  'a kafkajs consumer',
  'a platformatic consumer',
] as const

export type KindOfClient = (typeof kindsOfClient)[number]

export function openGroupReaders(world: SharedFlowFixture): Readonly<Record<KindOfClient, Kind>> {
  const inPart = (read: Reading): Kind => ({ read, canStopInPart: true, needs: null })
  const whole = (read: Reading): Kind => ({ read, canStopInPart: false, needs: null })
  return {
    'a Java consumer of the classic protocol': inPart(readerOfJava(world, 'classic')),
    'a Java consumer of KIP-848': {
      ...inPart(readerOfJava(world, 'consumer')),
      needs: 'consumer groups of KIP-848',
    },
    'a Kafka Streams application of the classic protocol': whole(readerOfStreams(world, 'classic')),
    'a Kafka Streams application of KIP-1071': {
      ...whole(readerOfStreams(world, 'streams')),
      needs: 'streams groups of KIP-1071',
    },
    'a kafkajs consumer': inPart(readerOfKafkaJs(world)),
    'a platformatic consumer': inPart(readerOfPlatformatic(world)),
  }
}

export function readerOfJava(world: SharedFlowFixture, protocol: string): Reading {
  return async (on, topic, group, count) => {
    const { brokers } = world[on]
    const read = await readWithJava({ brokers, topic, group }, count, { protocol })
    return read.map(each => each.value)
  }
}

/** Streams name no partition, so there is one. */
function readerOfStreams(world: SharedFlowFixture, protocol: string): Reading {
  return (on, topic, group, count) =>
    streamWithJava({ brokers: world[on].brokers, topic, group }, count, protocol)
}

export function readerOfKafkaJs(world: SharedFlowFixture): Reading {
  return async (on, topic, group, count) => {
    const consumer = kafkaOf(world, on).consumer({ groupId: group })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const values: string[] = []
    const enough = Promise.withResolvers<void>()
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: record, partition }) => {
        if (values.length === count) return
        values.push(String(record.value))
        if (values.length < count) return
        const offset = String(BigInt(record.offset) + 1n)
        await consumer.commitOffsets([{ topic, partition, offset }])
        enough.resolve()
      },
    })
    await enough.promise
    await consumer.disconnect()
    return values
  }
}

function readerOfPlatformatic(world: SharedFlowFixture): Reading {
  return async (on, topic, group, count) => {
    const consumer = new PlatformaticConsumer({
      clientId: 'test',
      groupId: group,
      bootstrapBrokers: world[on].brokers.split(','),
      deserializers: stringDeserializers,
    })
    const stream = await consumer.consume({
      ...{ autocommit: false, topics: [topic] },
      ...{ mode: 'committed', fallbackMode: 'earliest' },
    })
    const values: string[] = []
    for await (const record of stream) {
      // This client hands out the records of aborted transactions, too.
      if (record.value === 'aborted') continue
      values.push(String(record.value))
      if (values.length < count) continue
      const { partition, offset } = record
      const behind = { topic, partition, offset: offset + 1n, leaderEpoch: 0 }
      await consumer.commit({ offsets: [behind] })
      break
    }
    await stream.close()
    await consumer.close(true)
    return values
  }
}

export function kafkaOf(world: SharedFlowFixture, on: Side): Kafka {
  return on === 'source' ? world.primaryKafka : world.standbyKafka
}

/** The values of `records`, of the offsets that a plain topic gives them. */
export function valuesOf(from: number, to: number): string[] {
  return records(from, to - from).map(each => each.value)
}

type Producing = (on: Side, topic: string, from: number, count: number) => Promise<void>

/** `count` records from number `from` on, as one kind of producer writes them. */
export function openProducing(world: SharedFlowFixture) {
  const plain: Producing = (on, topic, from, count) => {
    const wanted = records(from, count)
    return on === 'source' ? world.produce(topic, wanted) : world.produceToStandby(topic, wanted)
  }
  return { plain, transactional: producingTransactions(world) }
}

/** Ten records to a transaction, and behind each one with a record that is aborted. */
function producingTransactions(world: SharedFlowFixture): Producing {
  return async (on, topic, from, count) => {
    const producer = kafkaOf(world, on).producer({
      ...{ transactionalId: `${topic}-${from}`, idempotent: true, maxInFlightRequests: 1 },
    })
    await producer.connect()
    for (let next = from; next < from + count; next += 10) {
      const committed = await producer.transaction()
      await committed.send({ topic, messages: records(next, Math.min(10, from + count - next)) })
      await committed.commit()
      const aborted = await producer.transaction()
      await aborted.send({ topic, messages: [{ key: 'k', value: 'aborted' }] })
      await aborted.abort()
    }
    await producer.disconnect()
  }
}
