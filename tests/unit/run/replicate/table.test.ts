// A table that throttles, or whose answers are lost, during a run: how many requests it gets, and
// how the run ends. One partition has its row in a scripted DynamoDB behind the real client, the
// others in memory.

import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../lib/io/clock.ts'
import { createCheckpointStore } from '../../../../lib/io/table/checkpoint-store.ts'
import {
  createDynamoDbClient,
  requestAttemptsMax,
} from '../../../../lib/io/table/dynamodb-client.ts'
import type { CheckpointStore, IncidentStore } from '../../../../lib/io/table/stores.ts'
import { replicateAndReport } from '../../../../lib/run/replicate/replicate.ts'
import { createRunMeter } from '../../../../lib/run/replicate/run-metrics.ts'
import { loseAnswers } from '../../../support/table/lost-answers.ts'
import {
  type ScriptedAnswer,
  startScriptedDynamoDb,
} from '../../../support/table/scripted-dynamodb.ts'
import { claimOf } from '../../../support/worlds/claim.ts'
import {
  createWorld,
  FAR_MS,
  payloads,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const ok = (body: Record<string, unknown> = {}): ScriptedAnswer => ({ status: 200, body })
const refused = (name: string, rest: Record<string, unknown> = {}): ScriptedAnswer => ({
  status: 400,
  body: { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: 'no', ...rest },
})

/** The row of a partition whose lease `run-1` has just taken. */
const taken = {
  pk: { S: 'flow' },
  sk: { S: 'checkpoint/orders/0000000001' },
  state: { S: 'unstarted' },
  targetTopic: { S: 'primary.orders' },
  owner: { S: 'run-1' },
  worker: { S: 'run-1' },
  fence: { N: '1' },
  leaseUntilMs: { N: '1800000000000' },
  previousLeaseUntilMs: { N: '0' },
  updatedAtMs: { N: '1' },
}

/** Partitions 0 to 2 with five batches each; `answer` serves the row of partition 1. */
async function faultyWorld(answer: (request: number) => ScriptedAnswer, answersLost = 0) {
  const world = createWorld()
  world.createTopic('orders', 3)
  const written = [0, 1, 2].map(each => writeBatches(world.sourceLog('orders', each), 5))
  const server = await startScriptedDynamoDb(() => answer(server.requests.length))
  const client = createDynamoDbClient(server.env)
  ends.push(() => client.destroy(), server.close)
  loseAnswers(client, answersLost)
  const table = createCheckpointStore(client, 'gapless')
  const storeOf = (partition: number) => (partition === 1 ? table : world.checkpoints)
  const checkpoints: CheckpointStore = {
    ...world.checkpoints,
    acquire: input => storeOf(input.key.partition).acquire(input),
    save: input => storeOf(input.key.partition).save(input),
  }
  const run = async () => {
    // A virtual clock would reach the deadline while a request to the table is in flight.
    const deps = { checkpoints, clock: systemClock }
    const deadlineMs = systemClock.nowMs() + FAR_MS
    return (await world.run('orders', { partitions: [0, 1, 2], deps, deadlineMs })).partitions
  }
  const othersAreDone = () =>
    [0, 2].every(
      each =>
        JSON.stringify(payloads(world.targetLog('orders', each))) === JSON.stringify(written[each]),
    )
  return { server, run, othersAreDone, world }
}

const throttlings = ['ThrottlingException', 'ProvisionedThroughputExceededException']

describe('a table that throttles one partition', () => {
  test.each(throttlings)(
    'a table that always throttles (%s) fails the partition after a bounded number of requests, and no other',
    async name => {
      const { server, run, othersAreDone } = await faultyWorld(() => refused(name))

      const partitions = await run()

      expect(partitions.map(each => each.outcome)).toEqual(['drained', 'failed', 'drained'])
      expect(partitions[1]?.detail).toMatch(/UpdateItem .* taking the lease of orders-1 .*: no$/)
      expect(server.requests).toHaveLength(requestAttemptsMax)
      expect(othersAreDone()).toBe(true)
    },
  )

  test.each(throttlings)(
    'a table that throttles (%s) after acquiring the lease fails the next write of that partition, and no other',
    async name => {
      const { server, run, othersAreDone, world } = await faultyWorld(request =>
        request === 1 ? ok({ Attributes: taken }) : refused(name),
      )

      const partitions = await run()

      expect(partitions.map(each => each.outcome)).toEqual(['drained', 'failed', 'drained'])
      expect(partitions[1]?.detail).toMatch(/UpdateItem .* saving the checkpoint of orders-1/)
      expect(server.requests).toHaveLength(1 + requestAttemptsMax)
      expect(othersAreDone()).toBe(true)
      // The start position was never stored, so no record may be sent.
      expect(world.targetLog('orders', 1).logEnd).toBe(0n)
    },
  )

  test('a table that throttles for a moment fails no partition', async () => {
    const { run, othersAreDone, world } = await faultyWorld(request => {
      if (request % 2 === 1) return refused('ThrottlingException')
      return ok({ Attributes: taken })
    })
    const partitions = await run()
    expect(partitions.map(each => each.outcome)).toEqual(['drained', 'drained', 'drained'])
    expect(othersAreDone()).toBe(true)
    expect(world.targetLog('orders', 1).logEnd).toBe(5n)
  })
})

describe('an answer that is lost after the write', () => {
  test('a lease whose answer is lost is found to be held by the same run, and its partition is copied', async () => {
    const { run, world } = await faultyWorld(
      request =>
        request === 2
          ? refused('ConditionalCheckFailedException', { Item: taken })
          : ok({ Attributes: taken }),
      1,
    )
    const partitions = await run()
    expect(partitions.map(each => each.outcome)).toEqual(['drained', 'drained', 'drained'])
    expect(world.targetLog('orders', 1).logEnd).toBe(5n)
  })

  test('answers that are always lost fail the partition after a bounded number of requests, and no other', async () => {
    const { server, run, othersAreDone } = await faultyWorld(
      () => ok({ Attributes: taken }),
      requestAttemptsMax,
    )
    const partitions = await run()
    expect(partitions.map(each => each.outcome)).toEqual(['drained', 'failed', 'drained'])
    expect(partitions[1]?.detail).toMatch(/ECONNRESET/)
    expect(server.requests).toHaveLength(requestAttemptsMax)
    expect(othersAreDone()).toBe(true)
  })
})

describe('a table that fails at the end of a run', () => {
  const input = (world: ReturnType<typeof createWorld>) => ({
    flow: world.flow,
    claim: claimOf('run-1'),
    partitions: [0, 1].map(partition => ({ topic: 'orders', partition, topicIsKnown: false })),
    deadlineMs: world.clock.nowMs() + FAR_MS,
    isContinuous: false,
  })
  const away = () => Promise.reject(new Error('the table is away'))

  function depsOf(world: ReturnType<typeof createWorld>, incidents: IncidentStore) {
    return { ...world, incidents, log: () => undefined, owner: 'run-1' }
  }

  test('a table that fails at the end of a run is named in its report and metrics, and changes no outcome', async () => {
    const world = createWorld()
    world.createTopic('orders', 2)
    writeBatches(world.sourceLog('orders', 0), 5)
    const deps = depsOf(world, { ...world.incidents, list: away })

    const report = await replicateAndReport(deps, input(world))

    expect(report.partitions).toMatchObject([
      { outcome: 'drained', recordsReplicated: 5n },
      { outcome: 'drained', recordsReplicated: 0n },
    ])
    expect(report.failures).toEqual(['ending the incidents that are over: the table is away'])
    const sent: unknown[] = []
    createRunMeter(values => sent.push(values)).end(report)
    expect(sent).toEqual([expect.objectContaining({ RecordsReplicated: 5, Errors: 1 })])
    expect((await world.checkpoint('orders', 0))?.lease.untilMs).toBeNull()
  })

  test('a report says when observation failures could not be stored', async () => {
    const world = createWorld()
    world.createTopic('orders', 2)
    world.source.control('describeTopics', () => Promise.resolve([]))
    const deps = depsOf(world, { ...world.incidents, list: away })

    const report = await replicateAndReport(deps, input(world))

    expect(report.partitions.map(each => each.outcome)).toEqual(['unobserved', 'unobserved'])
    expect(report.observationFailures).toHaveLength(2)
    expect(report.failures).toEqual(['storing what could not be observed: the table is away'])
  })

  test('a run whose last writes succeed reports no failure', async () => {
    const world = createWorld()
    world.createTopic('orders', 2)
    writeBatches(world.sourceLog('orders', 0), 5)
    const report = await replicateAndReport(depsOf(world, world.incidents), input(world))
    expect(report.failures).toEqual([])
  })
})
