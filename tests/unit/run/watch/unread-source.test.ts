// What the watch function says of a source whose answers carry nothing, and of one whose last
// stable offset stands still.

import { describe, expect, test } from 'vitest'
import { hungTransactionMsMin } from '../../../../lib/core/config/defaults.ts'
import type { TopicConfigReader } from '../../../../lib/io/cluster/topic-config.ts'
import { watchFlow } from '../../../../lib/run/watch/watch.ts'
import { watchMetrics } from '../../../../lib/run/watch/watch-metrics.ts'
import { batchOf, createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

const HOUR_MS = 3_600_000
const ALWAYS = Number.POSITIVE_INFINITY

const aDay: TopicConfigReader = {
  readTopicConfigs: async topics => {
    const values = new Map([
      ['cleanup.policy', 'delete'],
      ['retention.ms', String(24 * HOUR_MS)],
      ['retention.bytes', '-1'],
    ])
    return new Map(topics.map(topic => [topic, { kind: 'read', values }]))
  },
}

async function replicatedWorld() {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 5)
  await world.run('orders')
  world.lines.length = 0
  const log = (line: (typeof world.lines)[number]) => world.lines.push(line)
  const deps = { ...world, sourceConfigs: aDay, log }
  return {
    ...world,
    watch: async () => watchMetrics(await watchFlow(deps, world.flow)),
    texts: () => world.lines.map(each => each.text).join('\n'),
    write: (producerId?: bigint) => {
      const at = BigInt(world.clock.nowMs())
      const dated = { baseTimestamp: at, maxTimestamp: at }
      const open = producerId === undefined ? {} : { producerId, attributes: TRANSACTIONAL }
      world.sourceLog('orders').write(batchOf(1, { ...dated, ...open }))
    },
  }
}

describe('a source whose answers carry nothing', () => {
  test('watch calls a partition unobserved whose oldest record does not come, without lag or headroom', async () => {
    const world = await replicatedWorld()
    world.write()
    world.clock.jump(2 * HOUR_MS)
    world.source.answerEmpty({ times: ALWAYS, afterMs: 500 })

    const metrics = await world.watch()

    expect(metrics).toMatchObject({ UnobservedPartitions: 1, LagRecords: 1 })
    expect(metrics).not.toHaveProperty('LagSeconds')
    expect(metrics).not.toHaveProperty('TruncationHeadroomSeconds')
    expect(world.texts()).toContain(
      'the age of its oldest record at offset 5 is not known: the broker answered no records there',
    )
  })

  test.each([
    ['empty', 'answerEmpty', { times: 1 }],
    ['throttled', 'throttleFetches', { times: 1, throttleTimeMs: 1_000 }],
  ] as const)(
    'watch asks again after one %s answer, and tells the age',
    async (_, fault, options) => {
      const world = await replicatedWorld()
      world.write()
      world.clock.jump(2 * HOUR_MS)
      world.source[fault](options as never)

      expect(await world.watch()).toMatchObject({ UnobservedPartitions: 0, LagRecords: 1 })
      expect((await world.watch()).LagSeconds).toBeGreaterThanOrEqual((2 * HOUR_MS) / 1000)
    },
  )

  test('watch says that a broker throttles it for longer than a tick can wait', async () => {
    const world = await replicatedWorld()
    world.write()
    world.source.throttleFetches({ times: ALWAYS, throttleTimeMs: 5_000 })

    expect(await world.watch()).toMatchObject({ UnobservedPartitions: 1 })
    expect(world.texts()).toContain('a quota of the broker throttles its fetches')
  })
})

describe('a last stable offset that stands still', () => {
  test('watch names the hung transaction behind which nothing is replicated, with its producer', async () => {
    const world = await replicatedWorld()
    world.write(4001n)
    world.clock.jump(hungTransactionMsMin)
    world.write()
    await world.run('orders')

    expect(await world.watch()).toMatchObject({ HungTransactions: 1, LagRecords: 2 })
    expect(world.texts()).toContain(
      'the last stable offset on primary stands at 5 since 2023-11-14T22:13:20',
    )
    expect(world.texts()).toContain('(producer id 4001, epoch 0)')
    expect(world.texts()).toContain('abort --topic orders --partition 0 --start-offset 5')
  })

  test('watch names a hung transaction without its producer where it may not ask for it', async () => {
    const world = await replicatedWorld()
    world.write(4001n)
    world.clock.jump(hungTransactionMsMin)
    world.write()
    world.source.control('describeProducers', async () => {
      return { kind: 'error', errorName: 'TOPIC_AUTHORIZATION_FAILED' } as const
    })

    expect(await world.watch()).toMatchObject({ HungTransactions: 1 })
    expect(world.texts()).toContain(
      'the producer is not known: DescribeProducers answered TOPIC_AUTHORIZATION_FAILED',
    )
  })

  test('watch tells the age of a hung transaction from the checkpoint where records are dated by events', async () => {
    const world = await replicatedWorld()
    world.sourceLog('orders').write(batchOf(1, { producerId: 1n, attributes: TRANSACTIONAL }))
    world.clock.jump(hungTransactionMsMin)

    expect(await world.watch()).toMatchObject({ HungTransactions: 1 })
  })

  test('watch counts no transaction as hung that began a moment ago, or that ends', async () => {
    const world = await replicatedWorld()
    world.write(4001n)
    expect(await world.watch()).toMatchObject({ HungTransactions: 0 })
    world.clock.jump(hungTransactionMsMin)
    world.sourceLog('orders').endTransaction(4001n, 'commit')
    world.write()
    expect(await world.watch()).toMatchObject({ HungTransactions: 0 })
  })
})
