// The functions as the local stage runs them: the real serverless command line with
// serverless-offline, two real brokers, a real table. Their schedule, Lambda's Invoke API, a
// partition that makes a worker fail, and a process that is killed in the middle of a copy.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCheckpointStore } from '../../lib/io/checkpoint-store.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { createDynamoDbClient } from '../../lib/io/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/incident-store.ts'
import { createTable } from '../../lib/io/table.ts'
import { type OfflineFunctions, readLoggedTexts, startFunctions } from '../../localstack/offline.ts'
import { readLogEnd } from '../../localstack/partition-reader.ts'
import { findFreePort } from '../../localstack/ports.ts'
import { removeStarted, startCluster, startStandInAws } from '../support/brokers.ts'
import { connectTo, createTopic, deleteRecords, produceBatches } from '../support/kafkajs-admin.ts'
import { readPartition } from '../support/kafkajs-reader.ts'
import { type Contents, contentsOf, inChunks, records } from '../support/records.ts'

const table = 'gapless'
const directory = mkdtempSync(join(tmpdir(), 'gapless-e2e-'))
let world: Awaited<ReturnType<typeof startWorld>>
let running: OfflineFunctions | null = null

beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => {
  await running?.stop()
  await world?.disconnect()
  await removeStarted()
  rmSync(directory, { recursive: true, force: true })
})

test('a partition that halts fails its worker, and nothing else', async () => {
  const flow = 'halting'
  await world.createTopic('halting.cut', 2)
  for (const partition of [0, 1]) await world.produce('halting.cut', partition, [records(0, 50)])
  const functions = await start(flow, {})
  await until('both partitions are copied', async () => {
    await functions.invoke('plan')
    const ends = await Promise.all([0, 1].map(each => world.standbyEnd('halting.cut', each)))
    return ends.every(end => end === 50n)
  })
  await world.produce('halting.cut', 0, [records(50, 30)])
  await world.deleteRecords('halting.cut', 0, 80)
  for (const partition of [0, 1]) await world.produce('halting.cut', partition, [records(80, 10)])

  const shard = [0, 1].map(partition => ({ topic: 'halting.cut', partition, topicIsKnown: true }))
  const failure = await untilFailed(functions, { flow, partitions: shard })

  expect(failure).toContain('halting.cut-0 halted')
  expect(functions.isRunning()).toBe(true)
  await until('the other partition went on', async () => {
    await functions.invoke('plan')
    return (await world.standbyEnd('halting.cut', 1)) === 60n
  })
  expect(await world.standbyEnd('halting.cut', 0)).toBe(50n)
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
  // A tick that finds a halted partition has done what it can: it does not fail.
  const tick = await functions.invoke('plan')
  expect(tick).toMatchObject({ kind: 'succeeded', answer: { flows: [{ halted: 1, shards: 0 }] } })
  // Neither does an invocation that makes no sense end the process.
  expect(await functions.invoke('replicate', {})).toMatchObject({ kind: 'failed' })
  expect(functions.isRunning()).toBe(true)
})

test('killed in the middle of a copy, the next process leaves no hole and repeats nothing', async () => {
  // Small fetches make the copy slow enough to be met in its middle.
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
  await world.createTopic('killed.log', 1)
  await world.produce('killed.log', 0, inChunks(all, 5))
  const first = await start(flow, budgets)
  const tick = first.invoke('plan').then(
    () => 'answered',
    (error: Error) => error.message,
  )
  // Past the first checkpoint that says so: the next process goes on from there, not from 0.
  await until('a part is copied', async () => ((await world.nextSourceOffset(flow)) ?? 0n) > 0n)
  await first.kill()
  expect(await tick).toContain('have died')
  const left = await world.checkpoint(flow)
  expect(left?.lease.owner).not.toBeNull()
  const copied = await world.standbyEnd('killed.log', 0)
  expect(copied).toBeLessThan(total)

  const second = await start(flow, budgets)
  await until('all of it is copied', async () => {
    await second.invoke('plan')
    return (await world.nextSourceOffset(flow)) === total
  })

  expect(await world.readStandby('killed.log', 0)).toEqual(all)
  expect((await world.incidents.list(flow, 'all')).incidents).toEqual([])
})

test('the schedule ticks by itself, at the next full minute', async () => {
  await world.createTopic('scheduled.log', 1)
  await world.produce('scheduled.log', 0, [records(0, 20)])
  const functions = await start('scheduled', {})

  await until('the schedule has copied it', async () => {
    return (await world.standbyEnd('scheduled.log', 0)) === 20n
  })

  expect(await world.readStandby('scheduled.log', 0)).toEqual(records(0, 20))
  expect(functions.isRunning()).toBe(true)
})

/** Starts the functions with one flow, for topics that begin with its name; stops those before. */
async function start(flow: string, budgets: Record<string, number>): Promise<OfflineFunctions> {
  await running?.stop()
  const config = {
    clusters: {
      primary: { brokers: [world.primaryBrokers] },
      standby: { brokers: [world.standbyBrokers] },
    },
    flows: [{ name: flow, from: 'primary', to: 'standby', topics: [`/^${flow}\\..*/`], budgets }],
  }
  const file = join(directory, `${flow}.yml`)
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config))
  running = await startFunctions({
    settings: world.settings,
    port: await findFreePort(),
    env: { GAPLESS_CONFIG: file },
    logFile: join(directory, `${flow}.log`),
  })
  return running
}

/**
 * The reason, once an invocation of `replicate` fails: one that meets a scheduled run finds leases,
 * and does not.
 */
async function untilFailed(functions: OfflineFunctions, shard: unknown): Promise<string> {
  const reasons: string[] = []
  await until('replicate fails', async () => {
    const invocation = await functions.invoke('replicate', shard)
    if (invocation.kind === 'failed') reasons.push(invocation.reason)
    return reasons.length > 0
  })
  return String(reasons[0])
}

async function startWorld() {
  const [primary, standby, aws] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
  ])
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  const checkpoints = createCheckpointStore(client, table)
  const [source, target] = [connectTo(primary), connectTo(standby)]
  const targetAdmin = target.admin()
  await targetAdmin.connect()
  const onStandby = (topic: string, partition: number) => ({ topic: `primary.${topic}`, partition })
  const checkpoint = async (flow: string) => (await checkpoints.list(flow)).checkpoints[0] ?? null
  return {
    settings: {
      directory,
      table,
      ports: {
        primary: portOf(primary.brokers),
        standby: portOf(standby.brokers),
        aws: portOf(aws.endpoint),
      },
    },
    primaryBrokers: primary.brokers,
    standbyBrokers: standby.brokers,
    incidents: createIncidentStore(client, table),
    checkpoint,
    async nextSourceOffset(flow: string): Promise<bigint | null> {
      const state = (await checkpoint(flow))?.state
      return state?.kind === 'replicating' ? state.position.nextSourceOffset : null
    },
    createTopic: (topic: string, partitions: number) => createTopic(source, topic, { partitions }),
    produce: (topic: string, partition: number, batches: Contents[][]) =>
      produceBatches(source, { topic, partition }, batches),
    deleteRecords: (topic: string, partition: number, offset: number) =>
      deleteRecords(source, { topic, partition, offset }),
    standbyEnd: async (topic: string, partition: number): Promise<bigint> =>
      (await readLogEnd(targetAdmin, onStandby(topic, partition))) ?? 0n,
    readStandby: async (topic: string, partition: number): Promise<Contents[]> =>
      contentsOf(await readPartition(target, onStandby(topic, partition))),
    async disconnect() {
      await targetAdmin.disconnect()
      client.destroy()
    },
  }
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1))
}

// Beyond a minute, because the schedule may take one, and beyond a lease.
const untilMsMax = 150_000
const untilPollMs = 100

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + untilMsMax
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`)
    await systemClock.wait(untilPollMs)
  }
}
