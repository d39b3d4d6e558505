// `mode: continuous` as the local stage runs it: the real serverless command line with
// serverless-offline, real brokers, workers that hand over to their successors every few seconds
// while records are written, and a chain of workers that is killed: the schedule starts the next.

import type { Producer } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { positionOf } from '../../lib/core/partition/partition-state.ts'
import type { Checkpoint } from '../../lib/core/row/checkpoint.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { type OfflineFunctions, readLogTail } from '../../localstack/offline.ts'
import { connectTo, createTopic } from '../../localstack/scratch/topics.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { type Contents, contentsOf, records } from '../support/kafka/records.ts'
import {
  openSharedOfflineWorld,
  type SharedOfflineWorld,
} from '../support/worlds/shared-fixture.ts'

const flow = {
  name: 'chained',
  mode: 'continuous',
  budgets: {
    leaseMs: 6_000,
    requestTimeoutMs: 5_000,
    checkpointIntervalMs: 500,
    reserveMs: 15_000,
  },
} as const
/**
 * A worker copies for half of it, and its successor starts in the last seconds of that half. It
 * cannot be shorter, or serverless-offline ends a worker that has not loaded its code yet.
 */
const replicateTimeoutS = '30'
const topic = 'chained.log'
const partitions = [0, 1]
const batchRecords = 5
const chainedWorkers = 3
const workersAfterKill = 2
/** Longer than a minute of the schedule, a lease and three workers. */
const untilMsMax = 140_000
const untilPollMs = 100

/** The time of one owner at one partition. */
type Tenure = {
  readonly owner: string
  readonly fence: number
  /** The producer with which it wrote, as last observed. */
  producer: string | null
}

let world: SharedOfflineWorld
let producer: Producer
const written = new Map<number, Contents[]>(partitions.map(each => [each, []]))
const tenures = new Map<number, Tenure[]>(partitions.map(each => [each, []]))

beforeAll(async () => {
  world = await openSharedOfflineWorld()
  producer = connectTo(world.primary).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
})
afterAll(async () => {
  await producer?.disconnect()
  await world?.remove()
})

test('workers hand over to each other without a gap, and after a kill the schedule starts the next chain', async () => {
  await createTopic(connectTo(world.primary), topic, { partitions: partitions.length })
  // The schedule starts no tick that could help this chain.
  const params = { replicateTimeoutS, tickRate: 'rate(1 day)' }
  const first = await world.startFunctions({ ...flow, params })
  const tick = first.invoke('plan')
  await writeUntilWorkers(chainedWorkers, first)
  // The tick ended with its first worker, which succeeded.
  expect(await tick).toMatchObject({ kind: 'succeeded', answer: { flows: [{ shards: 1 }] } })

  await first.kill()
  for (const partition of partitions) {
    const chain = tenuresOf(partition)
    expect(new Set(chain.map(each => each.owner)).size).toBe(chain.length)
    // No other owner came in between, and all wrote with one producer.
    expect(chain.map(each => each.fence)).toEqual(chain.map((_, index) => index + 1))
    expect(new Set(chain.map(each => each.producer)).size).toBe(1)
  }

  // The test does not invoke these functions: their schedule does.
  const second = await world.startFunctions({ ...flow, params: { replicateTimeoutS } })
  await writeUntilWorkers(chainedWorkers + workersAfterKill, second)

  for (const partition of partitions) {
    const chain = tenuresOf(partition)
    // Owners of records that keep their offsets share a producer, also behind a kill.
    expect(new Set(chain.map(each => each.producer)).size).toBe(1)
    const all = written.get(partition) ?? []
    await until(
      async () => `all of partition ${partition} is copied`,
      async () => {
        return (await nextSourceOffsets()).get(partition) === BigInt(all.length)
      },
    )
    expect(await readStandby(partition)).toEqual(all)
  }
  expect(await world.incidents.list(flow.name, 'all')).toEqual({ incidents: [], corrupt: [] })
  expect(second.isRunning()).toBe(true)
})

/** Writes one batch after the other until each partition has had so many owners. */
async function writeUntilWorkers(count: number, functions: OfflineFunctions): Promise<void> {
  const said = async () => {
    return `each partition has had ${count} owners: ${(await readLogTail(functions.logFile)).join('\n')}`
  }
  await until(said, async () => {
    for (const partition of partitions) await writeBatch(partition)
    for (const found of (await world.checkpoints.list(flow.name)).checkpoints) noteTenure(found)
    return partitions.every(partition => tenuresOf(partition).length >= count)
  })
}

async function writeBatch(partition: number): Promise<void> {
  const before = written.get(partition) ?? []
  const batch = records(before.length, batchRecords)
  const messages = batch.map(each => ({ ...each, partition }))
  await producer.send({ topic, acks: -1, messages })
  written.set(partition, [...before, ...batch])
}

function noteTenure({ partition, lease, state }: Checkpoint): void {
  const { owner, fence } = lease
  const by = positionOf(state)?.producer
  const name = by == null ? null : `${by.producerId} ${by.producerEpoch}`
  const known = tenuresOf(partition)
  const last = known.at(-1)
  if (last?.fence !== fence) known.push({ owner, fence, producer: name })
  else if (name !== null) last.producer = name
}

function tenuresOf(partition: number): Tenure[] {
  return tenures.get(partition) ?? []
}

async function nextSourceOffsets(): Promise<Map<number, bigint | undefined>> {
  const { checkpoints } = await world.checkpoints.list(flow.name)
  return new Map(
    checkpoints.map(each => [each.partition, positionOf(each.state)?.nextSourceOffset]),
  )
}

async function readStandby(partition: number): Promise<Contents[]> {
  const standby = connectTo(world.standby)
  return contentsOf(await readPartition(standby, { topic: `primary.${topic}`, partition }))
}

async function until(what: () => Promise<string>, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + untilMsMax
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${await what()}`)
    await systemClock.wait(untilPollMs)
  }
}
