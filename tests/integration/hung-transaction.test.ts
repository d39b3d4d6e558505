// A transaction that its producer left open, on a real broker: replication reads up to it and looks
// drained, and watch says since when the last stable offset stands there and whose transaction it
// is.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { hungTransactionMsMin } from '../../lib/core/config/defaults.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { watchFlow } from '../../lib/run/watch/watch.ts'
import { watchMetrics } from '../../lib/run/watch/watch-metrics.ts'
import { records } from '../support/kafka/records.ts'
import { outcomesOf, type SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(() => world?.disconnect())

test('watch names a transaction that was left open, its producer id and the offset where replication stands', async () => {
  await world.createTopic('hung.pinned')
  const flow = world.flow(['hung.pinned'])
  await world.produce('hung.pinned', records(0, 10))
  const producer = world.primaryKafka.producer({ transactionalId: 'left-open', idempotent: true })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic: 'hung.pinned', messages: records(10, 3) })
  await world.produce('hung.pinned', records(13, 5))

  expect(outcomesOf(await world.run(flow))).toEqual(['drained'])
  expect(await world.readStandby('hung.pinned')).toEqual(records(0, 10))

  const texts: string[] = []
  const open = (name: string, brokers: string) =>
    openCluster({
      name,
      config: { brokers: brokers.split(','), tls: false },
      requestTimeoutMs: flow.budgets.requestTimeoutMs,
    })
  const source = open('primary', world.source.brokers)
  const target = open('standby', world.target.brokers)
  const { checkpoints, incidents } = world
  // The clock of a tick that comes later than the transaction may last.
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + hungTransactionMsMin }
  const log = ({ text }: { text: string }) => texts.push(text)
  const deps = { source, target, sourceConfigs: source, checkpoints, incidents, clock, log }
  const health = await watchFlow(deps, flow)
  await Promise.all([source.close(), target.close()])
  await transaction.abort()
  await producer.disconnect()

  expect(watchMetrics(health)).toMatchObject({ HungTransactions: 1, LagRecords: 8 })
  expect(health.hung).toMatchObject([{ topic: 'hung.pinned', lastStable: 10n, highWatermark: 18n }])
  expect(health.hung[0]?.producer).toMatchObject({ kind: 'found', producerId: expect.any(BigInt) })
  expect(texts.join('\n')).toContain('abort --topic hung.pinned --partition 0 --start-offset 10')
})
