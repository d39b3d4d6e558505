// The status over clusters in memory: that both sides are asked, what each difference is called,
// and the warning about producers that cannot be fenced.

import { describe, expect, test } from 'vitest'
import { statusExitCode } from '../../../../cli/commands/status.ts'
import type { TopicConfigReader } from '../../../../lib/io/cluster/topic-config.ts'
import { reportUnobserved } from '../../../../lib/run/observe/unobserved.ts'
import { reportFlowStatus } from '../../../../lib/run/operate/report.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { readFlowStatus } from '../../../../lib/run/operate/status.ts'
import { watchFlow } from '../../../../lib/run/watch/watch.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import {
  batchOf,
  createWorld,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const DAY = 24 * 3_600_000

const aWeek: TopicConfigReader = {
  readTopicConfigs: async topics => {
    const values = new Map([
      ['cleanup.policy', 'delete'],
      ['retention.ms', String(7 * DAY)],
      ['retention.bytes', '-1'],
    ])
    return new Map(topics.map(topic => [topic, { kind: 'read', values }]))
  },
}

/** Topic `orders` with five copied records; nothing runs after that. */
async function replicatedWorld() {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 5)
  await world.run('orders')
  return world
}

async function look(world: World, sourceConfigs: TopicConfigReader = aWeek) {
  const status = await readFlowStatus({ ...world, sourceConfigs }, world.flow)
  const exitCode = statusExitCode({ flows: [reportFlowStatus(status)] })
  return { ...status, exitCode, states: status.partitions.map(each => each.state) }
}

describe('the status of a flow', () => {
  test('a flow of which both sides were seen and that has caught up is well', async () => {
    const { states, exitCode, unobserved, problems } = await look(await replicatedWorld())
    expect([states, exitCode, unobserved, problems]).toEqual([['replicating'], 0, [], []])
  })

  const faults: [string, (world: World) => void, string][] = [
    [
      'a standby that does not answer',
      ({ target }) => target.control('describeTopics', () => Promise.reject(connectionLost('s'))),
      'standby-unobserved',
    ],
    [
      'a standby leader that does not answer ListOffsets',
      ({ target }) => target.control('listOffsets', () => Promise.reject(connectionLost('s'))),
      'standby-unobserved',
    ],
    [
      'a source that does not answer',
      ({ source }) => source.control('listOffsets', () => Promise.reject(connectionLost('p'))),
      'unobserved',
    ],
    [
      'records deleted at the source before they were copied',
      world => {
        writeBatches(world.sourceLog('orders'), 3)
        world.sourceLog('orders').deleteBefore(7n)
      },
      'truncated',
    ],
    ['a topic that was recreated', ({ source }) => source.createTopic('orders'), 'reset'],
    ['a topic that was deleted', ({ source }) => source.deleteTopic('orders'), 'deleted'],
    [
      'a standby topic that was recreated',
      ({ target }) => target.createTopic('primary.orders'),
      'standby-reset',
    ],
    [
      'a standby topic that was deleted',
      ({ target }) => target.deleteTopic('primary.orders'),
      'standby-missing',
    ],
  ]
  test.each(faults)(
    '%s is in the status before any run sees it, with exit code 1',
    async (...of) => {
      const [, fault, state] = of
      const world = await replicatedWorld()
      fault(world)
      const before = await world.checkpoint('orders')

      const { states, exitCode, unobserved, problems } = await look(world)

      expect([states, exitCode]).toEqual([[state], 1])
      expect([...unobserved, ...problems]).toHaveLength(1)
      expect(await world.checkpoint('orders')).toEqual(before)
      expect(await world.storedIncidents()).toEqual([])
    },
  )

  test.each(faults)('%s is nothing that watch sees and the status does not', async (...of) => {
    const world = await replicatedWorld()
    of[1](world)
    const deps = { ...world, sourceConfigs: aWeek, log: () => undefined }
    const [watched] = (await watchFlow(deps, world.flow)).partitions
    const isFaulty = watched?.difference !== null || watched.unobserved.length > 0
    expect([isFaulty, (await look(world)).exitCode]).toEqual([true, 1])
  })

  test('a flow without partitions is not well while its standby does not answer', async () => {
    const world = createWorld()
    world.target.control('describeTopics', () => Promise.reject(connectionLost('standby')))
    const { exitCode, unobserved } = await look(world)
    expect(exitCode).toBe(1)
    expect(unobserved).toEqual([expect.stringMatching(/^standby: /)])
  })

  test('an open incident of any part of the flow is not well, also of a standby topic', async () => {
    const world = await replicatedWorld()
    const failure = {
      ...{ kind: 'unobserved' as const, reason: 'unreachable' as const, detail: 'no leader' },
      ...{ cluster: 'standby', topic: 'primary.orders' },
    }
    await reportUnobserved({ ...world, log: () => undefined }, world.flow.name, [failure])
    const { exitCode, openIncidents, partitions } = await look(world)
    expect([exitCode, openIncidents, partitions[0]?.openIncidents]).toEqual([1, 1, 1])
  })

  test('a partition that no run works on is stalled', async () => {
    const world = await replicatedWorld()
    writeBatches(world.sourceLog('orders'), 1)
    world.clock.jump(3_600_000)
    const { states, exitCode, problems } = await look(world)
    expect([states, exitCode]).toEqual([['stalled'], 1])
    expect(problems).toEqual([expect.stringContaining('no run has worked on it')])
  })

  test('a topic that the flow names and the source does not have is a warning', async () => {
    const world = createWorld({ flow: { topics: ['orders', 'payments'] } })
    world.createTopic('orders')
    const { warnings, exitCode } = await look(world)
    expect(warnings).toEqual([expect.stringContaining('payments')])
    expect(exitCode).toBe(0)
  })

  test('the status tells the headroom, and null where no retention is known', async () => {
    const world = await replicatedWorld()
    const nowMs = BigInt(world.clock.nowMs())
    const fields = { baseTimestamp: nowMs, maxTimestamp: nowMs }
    world.sourceLog('orders').write(batchOf(1, fields))
    world.clock.jump(2 * DAY)
    expect((await look(world)).partitions[0]).toMatchObject({
      lagMs: 2 * DAY,
      headroomMs: 5 * DAY,
    })
    const refusing = { readTopicConfigs: () => Promise.reject(connectionLost('primary')) }
    const blind = await look(world, refusing)
    expect(blind.partitions[0]).toMatchObject({ lagMs: 2 * DAY, headroomMs: null })
    expect([blind.exitCode, blind.unobserved.length]).toEqual([1, 1])
  })
})

describe('the latency in the status', () => {
  const latencyOf = async (world: World) => (await look(world)).partitions[0]?.latencyMs

  async function worldWithRecord(timestampMs: (nowMs: number) => bigint) {
    const world = await replicatedWorld()
    const at = timestampMs(world.clock.nowMs())
    world.sourceLog('orders').write(batchOf(1, { baseTimestamp: at, maxTimestamp: at }))
    world.clock.jump(2_000)
    await world.run('orders')
    return world
  }

  test('the latency is that of the last acknowledgement, however long nothing happens', async () => {
    const world = await worldWithRecord(nowMs => BigInt(nowMs))
    expect(await latencyOf(world)).toBe(2_000)
    world.clock.jump(DAY)
    await world.run('orders')
    expect(await latencyOf(world)).toBe(2_000)
  })

  test('a refused resume changes no latency', async () => {
    const world = await worldWithRecord(nowMs => BigInt(nowMs))
    writeBatches(world.sourceLog('orders'), 2)
    world.sourceLog('orders').deleteBefore(8n)
    await world.run('orders')
    world.clock.jump(DAY)
    const at = { topic: 'orders', partition: 0 }
    const input = { flow: world.flow, at, from: 999n }
    await expect(resumePartition({ ...world, owner: 'operator' }, input)).rejects.toThrow('999')
    expect(await latencyOf(world)).toBe(2_000)
  })

  test.each<[string, (nowMs: number) => bigint]>([
    ['none', () => -1n],
    ['the smallest there is', () => -(2n ** 63n)],
    ['the largest there is', () => 2n ** 63n - 1n],
    ['in microseconds', nowMs => BigInt(nowMs) * 1_000n],
  ])('a timestamp that is %s gives no latency', async (_, timestampMs) => {
    expect(await latencyOf(await worldWithRecord(timestampMs))).toBeNull()
  })

  test('event time of years ago is no latency of years', async () => {
    const world = await worldWithRecord(nowMs => BigInt(nowMs - 6 * 365 * DAY))
    expect(await latencyOf(world)).toBeLessThanOrEqual(2_000)
  })
})

const denied = async () => ({
  kind: 'denied' as const,
  errorName: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
})

/** Three partitions; the target denied the transactional ids of the last two during the copy. */
async function partlyDeniedWorld() {
  const world = createWorld()
  world.createTopic('orders', 3)
  for (const partition of [0, 1, 2]) writeBatches(world.sourceLog('orders', partition), 1)
  world.target.control('initProducerId', (serve, id) =>
    id === null || id.endsWith('/0') ? serve(id) : denied(),
  )
  await world.run('orders', { partitions: [0, 1, 2] })
  return { world, status: () => readFlowStatus(world, world.flow) }
}

test('a target that denied transactional ids is one warning, with the permission to grant', async () => {
  const { status } = await partlyDeniedWorld()
  const { warnings, unobserved, partitions } = await status()
  expect(partitions.map(each => each.state)).toEqual(Array(3).fill('replicating'))
  expect(unobserved).toEqual([])
  expect(warnings).toEqual([
    expect.stringMatching(
      /^cluster standby denied .* for 2 of 3 partitions: .*own \(20 s\), .*\(6 s\)\. Grant WRITE and DESCRIBE on .*gapless\/flow\/ there/,
    ),
  ])
})

test('a target that allows transactional ids is no warning', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 1)
  await world.run('orders')
  expect((await readFlowStatus(world, world.flow)).warnings).toEqual([])
})

test('a target that takes no markers is one warning, where holes are to be filled by them', async () => {
  const warningsOf = async (flow: Record<string, unknown>) => {
    const world = createWorld({ flow })
    world.createTopic('orders')
    writeBatches(world.sourceLog('orders'), 1)
    await world.run('orders')
    const granted = (await readFlowStatus(world, world.flow)).warnings
    world.target.control('writeTxnMarkers', async (_, __, { producerId, topic, partition }) => {
      const answer = { producerId, topic, partition, errorCode: 31 }
      return { partitions: [answer] }
    })
    return { granted, refused: (await readFlowStatus(world, world.flow)).warnings }
  }
  expect(await warningsOf({ offsets: 'preserve', fillers: 'markers' })).toEqual({
    granted: [],
    refused: [expect.stringMatching(/^Cluster standby takes no markers .*CLUSTER_AUTHORIZATION/)],
  })
  expect(await warningsOf({ offsets: 'preserve' })).toEqual({ granted: [], refused: [] })
})

test('the status names the workers that run, and none that has ended', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const nowMs = world.clock.nowMs()
  const times = { nowMs, untilMs: nowMs + 6_000 }
  for (const worker of ['worker-1', 'worker-2']) {
    const claim = { run: worker, role: 'worker', invocation: `${worker} began` } as const
    await world.workers.begin({ flow: 'flow', worker, isReserved: false, ...claim, ...times })
  }
  const ended = { flow: 'flow', worker: 'worker-1', nowMs, when: 'in-any-case' } as const
  await world.workers.declareEnded(ended)
  const status = reportFlowStatus(await readFlowStatus(world, world.flow))
  const startedAt = new Date(nowMs).toISOString()
  const invocation = 'worker-2 began'
  expect(status.workers).toEqual([
    { worker: 'worker-2', role: 'worker', startedAt, partitions: 0, invocation },
  ])
})
