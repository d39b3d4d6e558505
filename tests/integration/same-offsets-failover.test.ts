// A flow with `offsets: preserve` fails over and comes back, on real brokers: a consumer that keeps
// its offsets in a file of its own goes on with the same number on the other side, and reads every
// record once.

import { randomUUID } from 'node:crypto'
import type { Kafka, KafkaMessage } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { contentsOf, records } from '../support/kafka/records.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(() => world?.disconnect())

type Side = 'primary' | 'standby'

const kafkaOf = (side: Side): Kafka =>
  side === 'primary' ? world.primaryKafka : world.standbyKafka

/** Committed and aborted transactions, and records without a transaction. */
async function write(side: Side, topic: string, from: number): Promise<void> {
  const producer = kafkaOf(side).producer({
    ...{ transactionalId: `${topic}-${side}`, idempotent: true, maxInFlightRequests: 1 },
  })
  await producer.connect()
  for (const [end, first, count] of [
    ['commit', from, 3],
    ['abort', from, 2],
    ['commit', from + 3, 1],
  ] as const) {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: records(first, count, end) })
    await transaction[end]()
  }
  await producer.disconnect()
  const plain = kafkaOf(side).producer()
  await plain.connect()
  await plain.send({ topic, messages: records(from + 4, 6, 'commit') })
  await plain.disconnect()
}

/** What a consumer reads from an offset on, by its own bookkeeping; and the offset behind it. */
async function readFrom(side: Side, topic: string, offset: bigint) {
  const all = await world.readAll(side, topic)
  const read = all.filter(each => BigInt(each.offset) >= offset)
  const last = read.at(-1)
  return { read, next: last === undefined ? offset : BigInt(last.offset) + 1n }
}

const sequencesOf = (read: readonly KafkaMessage[]) =>
  contentsOf(read).map(each => Number(each.headers.sequence))

test('a consumer that keeps its offsets in a file goes over and back, and reads every record once', async () => {
  const topic = `file-${randomUUID()}`
  await world.createTopic(topic)
  const flow = world.flow([topic], { naming: 'identity', offsets: 'preserve' })
  const seen: number[] = []
  let offset = 0n
  const readOn = async (side: Side, leave = 0) => {
    const { read, next } = await readFrom(side, topic, offset)
    const kept = read.slice(0, read.length - leave)
    seen.push(...sequencesOf(kept))
    offset = leave === 0 ? next : BigInt(kept.at(-1)?.offset ?? offset - 1n) + 1n
  }
  let written = 0
  for (const _ of [1, 2]) {
    await write('primary', topic, written)
    await world.run(flow)
    await readOn('primary', 4)
    await write('primary', topic, written + 10)
    expect(await world.failOver(flow, { how: 'planned', topics: null })).toMatchObject({
      kind: 'done',
    })
    await readOn('standby', 3)
    await write('standby', topic, written + 20)
    await readOn('standby', 2)
    await write('standby', topic, written + 30)
    expect(await world.failBack(flow)).toMatchObject({ kind: 'done', problems: [] })
    await readOn('primary', 1)
    written += 40
  }
  await write('primary', topic, written)
  const { incidents } = await world.run(flow)
  await readOn('primary')

  expect(incidents).toEqual([])
  expect(seen).toEqual(Array.from({ length: written + 10 }, (_, at) => at))
  const placed = (read: readonly KafkaMessage[]) => read.map(each => [each.offset, `${each.value}`])
  const [source, standby] = await Promise.all([
    world.readAll('primary', topic),
    world.readAll('standby', topic),
  ])
  expect(placed(standby)).toEqual(placed(source))
  expect((await world.standbyEnds(topic))[1]).toBe((await world.logEnds(topic))[1])
})
