// Events of every healthy log that must raise no incident: compaction, transactions and their
// markers, aborted data, empty topics, topics that get more partitions. For brokers that restart
// see silence.test.ts, for changes of leaders leadership.test.ts.

import type { Transaction } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../../localstack/processes/until.ts'
import { type Contents, contentsOf, inChunks, records } from '../support/kafka/records.ts'
import {
  outcomesOf,
  type SharedFlowFixture,
  smallBudgets,
  textsOf,
} from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(() => world?.disconnect())

const all = records(0, 200)

// A segment holds ten records with distinct timestamps; only closed segments are compacted.
const compacted = {
  'cleanup.policy': 'compact',
  'segment.ms': '9',
  'min.cleanable.dirty.ratio': '0',
  'min.compaction.lag.ms': '0',
}

/**
 * Records of which every tenth has the same key, so that compaction deletes the earlier ones.
 */
const keyed = (first: number, count: number) =>
  records(first, count).map(each => ({ ...each, key: `key-${Number(each.headers.sequence) % 10}` }))

test('compaction that deletes whole batches, also at the position, is no truncation', async () => {
  await world.createTopic('healthy.compacted', { configs: compacted })
  const flow = world.flow(['healthy.compacted'], { budgets: smallBudgets })
  await world.produceInBatches('healthy.compacted', keyed(0, 40), { size: 1 })
  await world.run(flow)
  await world.produceInBatches('healthy.compacted', keyed(40, 40), { size: 1 })
  await until('only the last record of each key is left, and the open segment', async () => {
    return (await world.readPrimary('healthy.compacted')).length <= 20
  })

  const result = await world.run(flow)
  const again = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.lines).toEqual([])
  expect(again.incidents).toEqual([])
  const standby = await world.readStandby('healthy.compacted')
  const earlier = standby.filter(each => Number(each.headers.sequence) < 40)
  const later = standby.filter(each => Number(each.headers.sequence) >= 40)
  // Compaction may have removed some of the first records before the first run.
  expect(keyed(0, 40)).toEqual(expect.arrayContaining(earlier))
  expect(later).toEqual(await world.readPrimary('healthy.compacted'))
  expect(later.slice(-10)).toEqual(keyed(70, 10))
})

test('compaction inside a batch is no incident either: its records are copied without the holes', async () => {
  await world.createTopic('healthy.holed', { configs: compacted })
  const flow = world.flow(['healthy.holed'])
  await world.produceInBatches('healthy.holed', keyed(0, 10), { size: 10 })
  // Keys 0 to 4 again, which supersede half of the first batch.
  await world.produceInBatches('healthy.holed', keyed(20, 5), { size: 1 })
  await world.produceInBatches('healthy.holed', records(110, 20, 'other'), { size: 10 })
  await until('the first batch has holes', async () => {
    const [first] = await world.readAll('primary', 'healthy.holed')
    return first?.offset !== '0'
  })

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toEqual([])
  expect(await world.readStandby('healthy.holed')).toEqual(await world.readPrimary('healthy.holed'))
})

/** Sends several batches, so that a fetch may end inside the transaction. */
async function send(transaction: Transaction, topic: string, contents: readonly Contents[]) {
  for (const messages of inChunks(contents, 5)) await transaction.send({ topic, messages })
}

test('where offsets are translated, what was aborted does not arrive, nor do markers', async () => {
  await world.createTopic('healthy.transactional')
  const flow = world.flow(['healthy.transactional'], {
    budgets: smallBudgets,
    offsets: 'translate',
  })
  const producer = world.primaryKafka.producer({
    transactionalId: 'false-alarms',
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  const inTransaction = async (contents: readonly Contents[], end: 'commit' | 'abort') => {
    const transaction = await producer.transaction()
    await send(transaction, 'healthy.transactional', contents)
    await transaction[end]()
  }
  await inTransaction(all.slice(0, 40), 'commit')
  await inTransaction(records(0, 60, 'aborted'), 'abort')
  await world.produce('healthy.transactional', all.slice(40, 50))
  await inTransaction(all.slice(50, 60), 'commit')
  await inTransaction(records(100, 20, 'aborted'), 'abort')

  const first = await world.run(flow)
  const idle = await world.run(flow)

  expect(outcomesOf(first)).toEqual(['drained'])
  expect(first.incidents).toEqual([])
  expect(idle.report.partitions[0]?.recordsReplicated).toBe(0n)
  const seen = await world.readAll('standby', 'primary.healthy.transactional', 0, {
    readUncommitted: true,
  })
  expect(contentsOf(seen)).toEqual(all.slice(0, 60))

  const open = await producer.transaction()
  await send(open, 'healthy.transactional', all.slice(60, 70))
  await world.produce('healthy.transactional', all.slice(70, 80))
  const whileOpen = await world.run(flow)
  await open.commit()
  const committed = await world.run(flow)
  await producer.disconnect()

  expect(outcomesOf(whileOpen)).toEqual(['drained'])
  expect(whileOpen.report.partitions[0]?.recordsReplicated).toBe(0n)
  expect(outcomesOf(committed)).toEqual(['drained'])
  expect(committed.incidents).toEqual([])
  expect(await world.readStandby('healthy.transactional')).toEqual(
    await world.readPrimary('healthy.transactional'),
  )
  expect(await world.readStandby('healthy.transactional')).toEqual(all.slice(0, 80))
})

test('an empty topic is drained, and its first records are copied when they come', async () => {
  await world.createTopic('healthy.empty')
  const flow = world.flow(['healthy.empty'])

  const first = await world.run(flow)
  const second = await world.run(flow)
  await world.produce('healthy.empty', all)
  const third = await world.run(flow)

  for (const result of [first, second, third]) expect(outcomesOf(result)).toEqual(['drained'])
  expect(third.incidents).toEqual([])
  expect(await world.readStandby('healthy.empty')).toEqual(all)
})

test('a log that was emptied before it was ever seen begins at its log start', async () => {
  await world.createTopic('healthy.emptied-before')
  const flow = world.flow(['healthy.emptied-before'])
  await world.produce('healthy.emptied-before', all.slice(0, 50))
  await world.deleteRecords('healthy.emptied-before', 50)

  const first = await world.run(flow)
  await world.produce('healthy.emptied-before', all.slice(50))
  const second = await world.run(flow)

  for (const result of [first, second]) expect(outcomesOf(result)).toEqual(['drained'])
  expect(second.incidents).toEqual([])
  expect(await world.readStandby('healthy.emptied-before')).toEqual(all.slice(50))
})

test('from the log end only what comes is copied; an added partition from its start', async () => {
  await world.createTopic('healthy.growing')
  const flow = world.flow(['healthy.growing'], { startFrom: 'log-end' })
  await world.produce('healthy.growing', all.slice(0, 30))
  await world.run(flow)
  await world.produce('healthy.growing', all.slice(30))
  await world.onPrimary(admin =>
    admin.createPartitions({ topicPartitions: [{ topic: 'healthy.growing', count: 3 }] }),
  )
  await world.produce('healthy.growing', records(1000, 20), 2)

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained', 'drained', 'drained'])
  expect(result.incidents).toEqual([])
  expect(textsOf(result)).toEqual(['Widened standby topic primary.healthy.growing: 3 partitions.'])
  expect(await world.readStandby('healthy.growing', 0)).toEqual(all.slice(30))
  expect(await world.readStandby('healthy.growing', 1)).toEqual([])
  expect(await world.readStandby('healthy.growing', 2)).toEqual(records(1000, 20))
})
