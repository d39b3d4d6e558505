// A standby that refuses one record of a batch: by its timestamp, or because its topic is compacted
// and the record has no key. The brokers name the record (KIP-467), and only it is left out.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { codecTypes } from '../../localstack/scratch/kafkajs-codecs.ts'
import { type Contents, records } from '../support/kafka/records.ts'
import { outcomesOf, type SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(() => world?.disconnect())

type Codec = keyof typeof codecTypes

const TWO_DAYS_MS = 2 * 86_400_000
const older = (each: Contents) => ({
  ...each,
  timestamp: String(Number(each.timestamp) - TWO_DAYS_MS),
})
const newer = (each: Contents) => ({
  ...each,
  timestamp: String(Number(each.timestamp) + TWO_DAYS_MS),
})
const keyless = (each: Contents) => ({ ...each, key: null })

/** Produces `all` as batches of ten records. */
async function produceAs(codec: Codec, topic: string, all: readonly Contents[]): Promise<void> {
  const producer = world.primaryKafka.producer()
  await producer.connect()
  try {
    for (let at = 0; at < all.length; at += 10) {
      const messages = all.slice(at, at + 10)
      await producer.send({ topic, compression: codecTypes[codec], messages })
    }
  } finally {
    await producer.disconnect()
  }
}

test.each([
  {
    what: 'an old record',
    configs: { 'message.timestamp.before.max.ms': '86400000' },
    change: older,
    says: 'INVALID_TIMESTAMP',
  },
  {
    what: 'a record of the future',
    configs: { 'message.timestamp.after.max.ms': '3600000' },
    change: newer,
    says: 'INVALID_TIMESTAMP',
  },
  {
    what: 'a record without a key',
    configs: { 'cleanup.policy': 'compact' },
    change: keyless,
    says: 'INVALID_RECORD',
  },
])(
  '$what that the standby refuses is left out alone, as its incident says, and every other record arrives once',
  async ({ what, configs, change, says }) => {
    for (const codec of Object.keys(codecTypes) as Codec[]) {
      const topic = `refused-record.${what.replaceAll(' ', '-')}-${codec}`
      const configsOfSource = { 'message.timestamp.after.max.ms': '9223372036854775807' }
      await world.createTopic(topic, { configs: configsOfSource })
      await world.createStandbyTopic(`primary.${topic}`, { configs })
      const flow = world.flow([topic])
      // Two refused records in the second batch, one in the third.
      const all = records(0, 40).map((each, index) =>
        [15, 18, 20].includes(index) ? change(each) : each,
      )
      await produceAs(codec, topic, all)

      for (const offset of [15, 18, 20]) {
        const result = await world.run(flow)
        expect(outcomesOf(result)).toEqual(['halted'])
        expect(result.incidents.filter(each => each.resolution === 'open')).toMatchObject([
          {
            kind: 'unsupported-batch',
            expectedOffset: BigInt(offset),
            foundOffset: BigInt(offset),
            evidence: {
              refusedFrom: String(offset),
              refusedTo: String(offset + 1),
              detail: expect.stringContaining(says),
            },
          },
        ])
        const good = all.slice(0, offset).filter((_, index) => ![15, 18, 20].includes(index))
        expect(await world.readStandby(topic)).toEqual(good)
        const resumed = await world.resume(flow, topic, 0, BigInt(offset + 1))
        expect(resumed.skippedOffsets).toBe(1n)
      }
      const last = await world.run(flow)

      expect(outcomesOf(last)).toEqual(['drained'])
      expect(last.incidents.map(each => [each.resolution, each.lostRecordsMax])).toEqual(
        [15, 18, 20].map(() => ['resumed', 1n]),
      )
      const good = all.filter((_, index) => ![15, 18, 20].includes(index))
      expect(await world.readStandby(topic)).toEqual(good)
    }
  },
)

test('a record that the standby refused is sent again by resume, and arrives once its topic takes it', async () => {
  const topic = 'refused-record.taken-later'
  await world.createTopic(topic)
  const strict = { 'message.timestamp.before.max.ms': '86400000', 'retention.ms': '-1' }
  await world.createStandbyTopic(`primary.${topic}`, { configs: strict })
  const flow = world.flow([topic])
  const all = records(0, 30).map((each, index) => (index === 5 ? older(each) : each))
  await produceAs('none', topic, all)
  await world.run(flow)
  await world.setTopicConfigs('standby', `primary.${topic}`, { 'retention.ms': '-1' })
  await world.resume(flow, topic, 0)

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toMatchObject([{ resolution: 'resumed', lostRecordsMax: 0n }])
  expect(await world.readStandby(topic)).toEqual(all)
})
