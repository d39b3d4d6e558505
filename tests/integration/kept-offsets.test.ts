// Applications that keep their offsets in a file, and not in Kafka, move to the standby with what
// is in it: with `offsets: preserve` it means the same record there, and nothing is translated.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readWithJava } from '../support/java/java-client.ts'
import { records } from '../support/kafka/records.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(() => world?.disconnect())

/** What an application writes into its file, and the records that it has read until then. */
type Kept = { readonly next: bigint; readonly values: readonly string[] }

type Side = 'source' | 'target'

/** Reads `count` records from an offset on, and commits nothing that anybody looks at. */
type Reading = (on: Side, topic: string, from: bigint, count: number) => Promise<Kept>

const withJava: Reading = async (on, topic, from, count) => {
  const at = { brokers: world[on].brokers, topic, group: randomUUID() }
  const read = await readWithJava(at, count, { how: String(from) })
  const values = read.map(each => each.value)
  return { next: BigInt(read.at(-1)?.offset ?? -1) + 1n, values }
}

const withKafkaJs: Reading = async (on, topic, from, count) => {
  const kafka = on === 'source' ? world.primaryKafka : world.standbyKafka
  const consumer = kafka.consumer({ groupId: randomUUID() })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const values: string[] = []
  let next = from
  const enough = Promise.withResolvers<void>()
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message: { offset, value } }) => {
      // What was fetched before the consumer was moved.
      if (BigInt(offset) < from || values.length === count) return
      values.push(String(value))
      next = BigInt(offset) + 1n
      if (values.length === count) enough.resolve()
    },
  })
  consumer.seek({ topic, partition: 0, offset: String(from) })
  await enough.promise
  await consumer.disconnect()
  return { next, values }
}

/** Transactions of five records, and an aborted one behind each. */
async function transact(topic: string, from: number, count: number): Promise<void> {
  const producer = world.primaryKafka.producer({
    ...{ transactionalId: `${topic}-${from}`, idempotent: true, maxInFlightRequests: 1 },
  })
  await producer.connect()
  for (let next = from; next < from + count; next += 5) {
    for (const end of ['commit', 'abort'] as const) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: records(next, 5, end) })
      await transaction[end]()
    }
  }
  await producer.disconnect()
}

test.each([
  { client: 'a Java consumer', read: withJava },
  { client: 'kafkajs', read: withKafkaJs },
])(
  '$client that keeps its offsets in a file goes on with the next record on the standby',
  async ({ client, read }) => {
    const topic = `kept.${client.replaceAll(' ', '-')}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { offsets: 'preserve', naming: 'identity' })
    await transact(topic, 0, 30)
    await world.run(flow)
    // In the middle of a transaction, and behind the markers of one.
    const first = await read('source', topic, 0n, 13)
    const second = await read('source', topic, first.next, 7)
    await transact(topic, 30, 20)
    await world.run(flow)

    const third = await read('target', topic, second.next, 22)
    const fourth = await read('target', topic, third.next, 8)

    const whole = await read('source', topic, 0n, 50)
    expect([first, second, third, fourth].flatMap(each => each.values)).toEqual(whole.values)
    expect(fourth.next).toBe(whole.next)
  },
  240_000,
)
