// An outage that only copying notices: Metadata and ListOffsets are answered, a Fetch or a Produce
// is not. Ticks and runs go on through it, as they are scheduled.

import { expect, test } from 'vitest'
import { planFlow, workOf } from '../../../../lib/run/plan/plan.ts'
import { replicateAndReport } from '../../../../lib/run/replicate/replicate.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { claimOf } from '../../../support/worlds/claim.ts'
import {
  createWorld,
  FAR_MS,
  payloads,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const MINUTE = 60_000

function scheduledWorld(partitions = 1) {
  const world = createWorld()
  world.createTopic('orders', partitions)
  let runs = 0
  const tick = async () => {
    runs += 1
    const log = () => undefined
    const deps = {
      ...world,
      log,
      owner: `run-${runs}`,
      openTargetAdmin: () => expect.unreachable(),
    }
    const plan = await planFlow(deps, world.flow)
    const input = {
      flow: world.flow,
      claim: claimOf(deps.owner),
      deadlineMs: world.clock.nowMs() + FAR_MS,
      isContinuous: false,
    }
    const work = workOf(plan)
    if (work.length > 0) await replicateAndReport(deps, { ...input, partitions: work })
    world.clock.jump(MINUTE)
  }
  const ticks = async (count: number) => {
    for (let each = 0; each < count; each += 1) await tick()
  }
  return { ...world, tick, ticks }
}

const resolutions = async ({ storedIncidents }: ReturnType<typeof scheduledWorld>) =>
  (await storedIncidents()).map(each => [each.kind, each.resolution])

test.each(['produce', 'fetch', 'initProducerId'] as const)(
  'a request of kind %s that is never answered is one incident through all ticks, until records are copied again',
  async request => {
    const world = scheduledWorld()
    writeBatches(world.sourceLog('orders'), 3)
    const cluster = request === 'fetch' ? world.source : world.target
    const hang = () => Promise.reject(connectionLost(cluster.name))
    if (request === 'fetch') cluster.control('fetch', hang)
    else if (request === 'produce') cluster.control('produce', hang)
    else cluster.control('initProducerId', hang)

    await world.ticks(10)
    expect(await resolutions(world)).toEqual([['unreachable', 'open']])
    expect((await world.storedIncidents())[0]?.evidence).toMatchObject({ found: 'copying' })

    cluster.control(request, null)
    await world.ticks(2)
    expect(await resolutions(world)).toEqual([['unreachable', 'recovered']])
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
  },
)

test('a partition that is copied ends no outage of another one', async () => {
  const world = scheduledWorld(2)
  for (const partition of [0, 1]) writeBatches(world.sourceLog('orders', partition), 2)
  world.target.control('produce', async (serve, leaderId, request) => {
    const hangs = request.topics.some(each => each.partitions.some(at => at.partition === 1))
    if (hangs) throw connectionLost('standby')
    return serve(leaderId, request)
  })
  for (let each = 0; each < 6; each += 1) {
    await world.tick()
    writeBatches(world.sourceLog('orders', 0), 1)
  }
  expect(await resolutions(world)).toEqual([['unreachable', 'open']])

  world.target.control('produce', null)
  await world.ticks(3)
  expect(await resolutions(world)).toEqual([['unreachable', 'recovered']])
})

test('an outage is over when the records it stopped are on the standby, though no more come', async () => {
  const world = scheduledWorld()
  writeBatches(world.sourceLog('orders'), 2)
  world.target.control('produce', async (serve, leaderId, request) => {
    await serve(leaderId, request)
    throw connectionLost('standby')
  })
  await world.tick()
  expect(await resolutions(world)).toEqual([['unreachable', 'open']])

  world.target.control('produce', null)
  await world.ticks(3)
  expect(await resolutions(world)).toEqual([['unreachable', 'recovered']])
})

test('an outage that Metadata showed first goes on as one incident while a Produce still hangs', async () => {
  const world = scheduledWorld()
  writeBatches(world.sourceLog('orders'), 2)
  world.target.control('produce', () => Promise.reject(connectionLost('standby')))
  await world.tick()
  world.target.control('describeTopics', () => Promise.reject(connectionLost('standby')))
  await world.ticks(3)
  world.target.control('describeTopics', null)
  await world.ticks(3)
  expect(await resolutions(world)).toEqual([['unreachable', 'open']])
})

test('an outage is over when the topic that it stopped is deleted', async () => {
  const world = scheduledWorld()
  writeBatches(world.sourceLog('orders'), 2)
  world.target.control('produce', () => Promise.reject(connectionLost('standby')))
  await world.ticks(2)
  world.source.deleteTopic('orders')
  world.target.control('produce', null)
  await world.ticks(3)
  expect((await world.storedIncidents()).find(each => each.kind === 'unreachable')).toMatchObject({
    resolution: 'recovered',
  })
})
