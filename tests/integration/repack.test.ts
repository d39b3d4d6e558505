// Batches of real brokers that cannot be forwarded byte for byte: with holes of the log cleaner,
// with a log start in their middle, with LogAppendTime. A consumer of the standby sees the records
// that a consumer of the source sees. Formats before v2 are not tested here, because no current
// broker accepts them.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../../localstack/processes/until.ts'
import { codecTypes } from '../../localstack/scratch/kafkajs-codecs.ts'
import { type Contents, records } from '../support/kafka/records.ts'
import {
  outcomesOf,
  type RunResult,
  type SharedFlowFixture,
  smallBudgets,
} from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

type Codec = keyof typeof codecTypes
const codecs = Object.keys(codecTypes) as Codec[]

/** Produces each of `batches` as one record batch, compressed with `codec`. */
async function produceAs(codec: Codec, topic: string, batches: readonly (readonly Contents[])[]) {
  const producer = world.primaryKafka.producer()
  await producer.connect()
  try {
    for (const messages of batches) {
      await producer.send({ topic, compression: codecTypes[codec], messages: [...messages] })
    }
  } finally {
    await producer.disconnect()
  }
}

/** The records on the standby, after a run without an incident and a second one without work. */
async function copied(
  topic: string,
  result: RunResult,
  flow: ReturnType<SharedFlowFixture['flow']>,
) {
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toEqual([])
  const again = await world.run(flow)
  expect(again.report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
  return world.readStandby(topic)
}

// A segment holds one batch of the compacted records; only closed segments are compacted.
const compacted = {
  'cleanup.policy': 'compact',
  'segment.ms': '9',
  'min.cleanable.dirty.ratio': '0',
  'min.compaction.lag.ms': '0',
}

const keyed = (first: number, count: number) =>
  records(first, count).map(each => ({ ...each, key: `key-${Number(each.headers.sequence) % 40}` }))

test.each(codecs)(
  'records that the log cleaner removed from a batch compressed with %s are not on the standby',
  async codec => {
    const topic = `holed-${codec}`
    await world.createTopic(topic, { configs: compacted })
    const flow = world.flow([topic])
    await produceAs(codec, topic, [keyed(0, 40)])
    // Every other key again, which supersedes half of the first batch and none of its neighbours.
    const every = keyed(40, 40).filter((_, index) => index % 2 === 0)
    await produceAs(codec, topic, [every, records(120, 20, 'other'), records(150, 20, 'other')])
    await until('the first batch has holes', async () => {
      const offsets = (await world.readAll('primary', topic)).map(each => Number(each.offset))
      return offsets[0] === 1 && offsets[1] === 3
    })

    const standby = await copied(topic, await world.run(flow), flow)

    expect(standby).toEqual(await world.readPrimary(topic))
    expect(standby.slice(0, 20)).toEqual(keyed(0, 40).filter((_, index) => index % 2 === 1))
    const [offsets, ofSource] = await Promise.all([
      world.readAll('standby', `primary.${topic}`),
      world.readAll('primary', topic),
    ])
    expect(offsets.map(each => each.offset)).toEqual(ofSource.map(each => each.offset))
  },
)

test.each(codecs)(
  'a batch compressed with %s and cut by DeleteRecords is copied from the log start on',
  async codec => {
    const topic = `cut-${codec}`
    await world.createTopic(topic)
    const flow = world.flow([topic])
    const all = records(0, 100)
    await produceAs(codec, topic, [all.slice(0, 50), all.slice(50)])
    await world.deleteRecords(topic, 20)

    const standby = await copied(topic, await world.run(flow), flow)

    expect(standby).toEqual(all.slice(20))
  },
)

test.each(codecs)(
  'LogAppendTime timestamps of a batch compressed with %s are the same on the standby',
  async codec => {
    const topic = `stamped-${codec}`
    await world.createTopic(topic, { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    const flow = world.flow([topic], { budgets: smallBudgets })
    const all = records(0, 200)
    await produceAs(codec, topic, [all.slice(0, 100), all.slice(100, 101), all.slice(101)])

    const standby = await copied(topic, await world.run(flow), flow)

    expect(standby).toEqual(await world.readPrimary(topic))
    expect(standby.map(each => each.value)).toEqual(all.map(each => each.value))
    expect(standby.map(each => each.timestamp)).not.toEqual(all.map(each => each.timestamp))
  },
)

test('a batch of many megabytes is rewritten like a small one', async () => {
  const topic = 'large-stamped'
  await world.createTopic(topic, { configs: { 'message.timestamp.type': 'LogAppendTime' } })
  const flow = world.flow([topic])
  // The values compress well, so that a batch of a few hundred kilobytes has several blocks of
  // every codec.
  const large = records(0, 60).map(each => ({ ...each, value: `${each.value}`.repeat(1500) }))
  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    await produceAs(codec, topic, [large])
  }

  const standby = await copied(topic, await world.run(flow), flow)

  expect(standby).toEqual(await world.readPrimary(topic))
  expect(standby).toHaveLength(240)
})
