// The verification of measured copies (bench/compare/records/verify.ts) against a real broker: a
// correct copy passes, and each kind of fault is detected and named.

import type { Message } from 'kafkajs'
import { beforeAll, describe, expect, test } from 'vitest'
import { checksumOf, compareChecksums, compareCopy } from '../../bench/compare/records/verify.ts'
import { connectTo, createTopic } from '../../localstack/scratch/topics.ts'
import { openSharedClusters } from '../support/worlds/shared-fixture.ts'
import type { SharedWorld } from '../support/worlds/shared-world.ts'

const STARTS_MS_MAX = 60_000
const READS_MS_MAX = 60_000
const PARTITIONS = 2
const RECORDS = 50

// Recent, so that retention does not delete the records.
const firstMs = Date.now()

const right: readonly Message[] = Array.from({ length: RECORDS }, (_, index) => ({
  key: `key ${index}`,
  value: `value ${index}`,
  headers: { trace: `${index}` },
  timestamp: String(firstMs + index),
}))
const other = (change: Partial<Message>) =>
  right.map((each, at) => (at === 20 ? { ...each, ...change } : each))

/** Other files use the same cluster. */
const nameOf = (topic: string) => `verified.${topic}`

let cluster: SharedWorld['source']

async function write(topic: string, records: readonly Message[]): Promise<void> {
  const kafka = connectTo(cluster)
  await createTopic(kafka, nameOf(topic), { partitions: PARTITIONS })
  const producer = kafka.producer()
  await producer.connect()
  const messages = [
    ...right.map(each => ({ ...each, partition: 0 })),
    ...records.map(each => ({ ...each, partition: 1 })),
  ]
  await producer.send({ topic: nameOf(topic), messages })
  await producer.disconnect()
}

function compare(copy: string) {
  const side = (topic: string) => ({ brokers: cluster.brokers, topic: nameOf(topic) })
  return compareCopy({ source: side('right'), copy: side(copy), partitions: PARTITIONS })
}

beforeAll(async () => {
  cluster = (await openSharedClusters()).source
  await write('right', right)
}, STARTS_MS_MAX)

describe('a measured copy', () => {
  test(
    'a copy with the same records in the same order passes',
    async () => {
      await write('same', right)
      const sums = await compare('same')
      expect(sums.map(each => each.records)).toEqual([RECORDS, RECORDS])
    },
    READS_MS_MAX,
  )

  const contents = 'partition 1 of the copy has other contents'
  const cases: readonly [string, readonly Message[], string][] = [
    ['value', other({ value: 'value 2o' }), contents],
    ['key', other({ key: null }), contents],
    ['header', other({ headers: { trace: '21' } }), contents],
    ['timestamp', other({ timestamp: String(firstMs + 21) }), contents],
    ['order', [right[1] ?? {}, right[0] ?? {}, ...right.slice(2)] as Message[], contents],
    ['number', right.slice(1), 'partition 1 of the copy has 49 records, the source 50'],
  ]
  for (const [what, records, complaint] of cases) {
    test(
      `a copy is refused when its ${what} differs`,
      async () => {
        await write(what, records)
        await expect(compare(what)).rejects.toThrow(complaint)
      },
      READS_MS_MAX,
    )
  }

  test(
    'a copy is refused when a partition of the source is empty',
    async () => {
      await write('half', [])
      const brokers = cluster.brokers
      const half = await checksumOf({ brokers, topic: nameOf('half'), partitions: PARTITIONS })
      const whole = await checksumOf({ brokers, topic: nameOf('right'), partitions: PARTITIONS })
      expect(half.map(each => each.records)).toEqual([RECORDS, 0])
      expect(() => compareChecksums(half, whole)).toThrow('has 50 records, the source 0')
    },
    READS_MS_MAX,
  )
})
