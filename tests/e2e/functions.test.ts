// The functions as the local stage runs them: the real serverless command line with
// serverless-offline, two real brokers, a real table. Their schedule, Lambda's Invoke API, a
// partition that makes a worker fail, and a process that is killed in the middle of a copy. The
// tests run side by side, each with functions and a flow of its own: they wait more than they
// compute, one of them for the next full minute.

import type { Admin } from 'kafkajs'
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest'
import { createGroupAdmin } from '../../lib/io/admin/group-admin.ts'
import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { readLogEnd } from '../../localstack/kafka/partition-reader.ts'
import { type OfflineFunctions, readLoggedTexts } from '../../localstack/offline.ts'
import { until } from '../../localstack/processes/until.ts'
import {
  connectTo,
  createTopic,
  deleteRecords,
  produceBatches,
} from '../../localstack/scratch/topics.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { type Contents, contentsOf, inChunks, records } from '../support/kafka/records.ts'
import {
  openSharedOfflineWorld,
  type SharedOfflineWorld,
} from '../support/worlds/shared-fixture.ts'

/** Longer than a minute, the period of the schedule, and than a lease. */
const EVENTUALLY_MS_MAX = 150_000

let world: SharedOfflineWorld
let standby: Admin

beforeAll(async () => {
  world = await openSharedOfflineWorld()
  standby = connectTo(world.standby).admin()
  await standby.connect()
})
afterAll(async () => {
  await standby?.disconnect()
  await world?.remove()
})

test.concurrent('a partition that halts fails its worker, and nothing else', async context => {
  const flow = 'halting'
  await createSourceTopic('halting.cut', 2)
  for (const partition of [0, 1]) await produce('halting.cut', partition, [records(0, 50)])
  const functions = await start(context, flow)
  await eventually('both partitions are copied', async () => {
    await functions.invoke('plan')
    const ends = await Promise.all([0, 1].map(each => standbyEnd('halting.cut', each)))
    return ends.every(end => end === 50n)
  })
  await produce('halting.cut', 0, [records(50, 30)])
  await deleteRecords(connectTo(world.primary), { topic: 'halting.cut', partition: 0, offset: 80 })
  for (const partition of [0, 1]) await produce('halting.cut', partition, [records(80, 10)])

  // A tick meets the truncation, and its worker fails. Nothing is left of a worker that ended in
  // order, so `plan` has nothing to hand out.
  await eventually('plan was told that the worker failed', async () => {
    await functions.invoke('plan')
    const texts = await readLoggedTexts(functions.logFile)
    return texts.some(each => /halting\.cut-0 halted.* it ended in order/.test(each))
  })
  const shard = [0, 1].map(partition => ({ topic: 'halting.cut', partition, topicIsKnown: true }))
  const failure = await untilFailed(functions, { flow, partitions: shard })

  expect(failure).toContain('halting.cut-0 halted')
  expect(functions.isRunning()).toBe(true)
  await eventually('the other partition went on', async () => {
    await functions.invoke('plan')
    return (await standbyEnd('halting.cut', 1)) === 60n
  })
  expect(await standbyEnd('halting.cut', 0)).toBe(50n)
  const { incidents } = await world.incidents.list(flow, 'all')
  expect(
    incidents.map(({ kind, partition, expectedOffset, foundOffset }) => {
      return { kind, partition, expectedOffset, foundOffset }
    }),
  ).toEqual([{ kind: 'log-truncated', partition: 0, expectedOffset: 50n, foundOffset: 80n }])
  expect(await readLoggedTexts(functions.logFile)).toContainEqual(
    expect.stringMatching(
      /^CRITICAL: Log truncation detected for halting\.cut-0\. Expected offset 50, but got 80\. Gap of 30 messages detected, /,
    ),
  )
  // A tick with a halted partition does not fail: it has nothing else to do.
  const tick = await functions.invoke('plan')
  expect(tick).toMatchObject({ kind: 'succeeded', answer: { flows: [{ halted: 1, shards: 0 }] } })
  // An invocation with an invalid input does not end the process.
  expect(await functions.invoke('replicate', {})).toMatchObject({ kind: 'failed' })
  expect(functions.isRunning()).toBe(true)
})

test.concurrent('after a kill in the middle of a copy the next process leaves no hole and repeats nothing', async context => {
  // Small fetches make the copy slow enough to be killed in its middle.
  const budgets = {
    leaseMs: 5_000,
    requestTimeoutMs: 4_000,
    checkpointIntervalMs: 100,
    fetchBytesMax: 1024,
    partitionFetchBytesMax: 1024,
    bufferBytesMax: 1024,
  }
  const flow = 'killed'
  const all = records(0, 5_000)
  const total = BigInt(all.length)
  await createSourceTopic('killed.log', 1)
  await produce('killed.log', 0, inChunks(all, 5))
  const first = await start(context, flow, budgets)
  const tick = first.invoke('plan').then(
    () => 'answered',
    (error: Error) => error.message,
  )
  // A checkpoint above 0 is stored, so that the next process does not start at 0.
  await eventually('a part is copied', async () => ((await nextSourceOffset(flow)) ?? 0n) > 0n)
  await first.kill()
  expect(await tick).toContain('have died')
  const left = await checkpointOf(flow)
  expect(left?.lease.owner).not.toBeNull()
  const copied = await standbyEnd('killed.log', 0)
  expect(copied).toBeLessThan(total)

  const second = await start(context, flow, budgets)
  await eventually('all of it is copied', async () => {
    await second.invoke('plan')
    return (await nextSourceOffset(flow)) === total
  })

  expect(await readStandby('killed.log')).toEqual(all)
  expect((await world.incidents.list(flow, 'all')).incidents).toEqual([])
})

test.concurrent('the schedule invokes plan and sync at the next full minutes', async context => {
  await createSourceTopic('scheduled.log', 1)
  await produce('scheduled.log', 0, [records(0, 20)])
  await commitOffset('scheduled-group', 'scheduled.log', 12n)
  const functions = await start(context, 'scheduled')

  await eventually('the schedule has copied it', async () => {
    return (await standbyEnd('scheduled.log', 0)) === 20n
  })
  await eventually('the schedule has carried the group to the standby', async () => {
    const topics = ['primary.scheduled.log']
    const [read] = await standby.fetchOffsets({ groupId: 'scheduled-group', topics })
    return read?.partitions[0]?.offset === '12'
  })

  expect(await readStandby('scheduled.log')).toEqual(records(0, 20))
  expect(functions.isRunning()).toBe(true)
})

/** Starts functions with one flow, which are stopped when the test ends. */
async function start(
  { onTestFinished }: TestContext,
  name: string,
  budgets: Record<string, number> = {},
): Promise<OfflineFunctions> {
  const functions = await world.startFunctions({ name, budgets })
  onTestFinished(() => functions.stop())
  return functions
}

/**
 * Returns the reason when an invocation of `replicate` fails. One that runs beside a scheduled run
 * finds the leases held, and does not fail.
 */
async function untilFailed(functions: OfflineFunctions, shard: unknown): Promise<string> {
  const reasons: string[] = []
  await eventually('replicate fails', async () => {
    const invocation = await functions.invoke('replicate', shard)
    if (invocation.kind === 'failed') reasons.push(invocation.reason)
    return reasons.length > 0
  })
  return String(reasons[0])
}

function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  return until(what, holds, EVENTUALLY_MS_MAX)
}

async function checkpointOf(flow: string) {
  return (await world.checkpoints.list(flow)).checkpoints[0] ?? null
}

async function nextSourceOffset(flow: string): Promise<bigint | null> {
  const state = (await checkpointOf(flow))?.state
  return state?.kind === 'replicating' ? state.position.nextSourceOffset : null
}

function createSourceTopic(topic: string, partitions: number): Promise<void> {
  return createTopic(connectTo(world.primary), topic, { partitions })
}

/** As a consumer of the primary without membership. */
async function commitOffset(group: string, topic: string, offset: bigint): Promise<void> {
  const config = { brokers: world.primary.brokers.split(','), tls: false as const }
  const cluster = openCluster({ name: 'primary', config, requestTimeoutMs: 10_000 })
  await createGroupAdmin(cluster).commitOffsets(group, [
    { topic, partition: 0, offset, metadata: null },
  ])
  await cluster.close()
}

function produce(topic: string, partition: number, batches: Contents[][]): Promise<void> {
  return produceBatches(connectTo(world.primary), { topic, partition }, batches)
}

async function standbyEnd(topic: string, partition: number): Promise<bigint> {
  return (await readLogEnd(standby, { topic: `primary.${topic}`, partition })) ?? 0n
}

async function readStandby(topic: string): Promise<Contents[]> {
  const at = { topic: `primary.${topic}`, partition: 0 }
  return contentsOf(await readPartition(connectTo(world.standby), at))
}
