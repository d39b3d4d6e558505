// Workers in a real DynamoDB, beside what the stores' contract has: answers that are lost at each
// step, first sendings that arrive late, and a table that the version before uses at the same time.

import { randomUUID } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCheckpointStore } from '../../lib/io/table/checkpoint-store.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { createWorkerStore } from '../../lib/io/table/worker-store.ts'
import {
  removeStarted,
  type StandInAws,
  startStandInAws,
} from '../../localstack/scratch/brokers.ts'
import { actionsOn, leaseMs, t0 } from '../support/contracts/lease-actions.ts'
import { partitionKey, replicating } from '../support/contracts/store-examples.ts'
import { workerActionsOn, workerLeaseMs } from '../support/contracts/worker-actions.ts'
import { createStoreBefore } from '../support/table/checkpoint-store-before.ts'
import { loseAnswers } from '../support/table/lost-answers.ts'

let aws: StandInAws
let client: DynamoDBClient
let lossy: DynamoDBClient
let table: string

beforeAll(async () => {
  aws = await startStandInAws()
  client = createDynamoDbClient(aws.env)
})

afterAll(async () => {
  client?.destroy()
  await removeStarted()
})

beforeEach(async () => {
  table = `gapless-${randomUUID()}`
  await createTable(client, table)
  lossy = createDynamoDbClient(aws.env)
  return () => lossy.destroy()
})

const flow = 'primary-to-standby'
const key = partitionKey()
const sound = {
  ...actionsOn(() => createCheckpointStore(client, table)),
  ...workerActionsOn(() => createWorkerStore(client, table)),
}
const losing = {
  ...actionsOn(() => createCheckpointStore(lossy, table)),
  ...workerActionsOn(() => createWorkerStore(lossy, table)),
}
const acquiredBy = (actions: typeof sound, owner: string, nowMs = t0) =>
  actions.acquire({ owner, lease: 'worker', nowMs })

/** Performs one call whose first answer, after `answered` others, is lost; it was applied. */
async function withLostAnswer<T>(call: () => Promise<T>, answered = 0): Promise<T> {
  const lost = loseAnswers(lossy, 1, answered)
  const answer = await call()
  expect(lost.left()).toBe(0)
  return answer
}

describe('when the answer to a write of a worker is lost', () => {
  test.each([
    ['a row that no plan reserved', false],
    ['a reserved row', true],
  ])('a run that begins with %s has begun, once', async (_, isReserved) => {
    if (isReserved) await sound.reserve()
    expect(await withLostAnswer(() => losing.begin({ isReserved }))).toBe('begun')
    expect(await sound.found()).toMatchObject({ run: 'run-1' })
  })

  test('workers are reserved once, and a successor too', async () => {
    expect(await withLostAnswer(() => losing.reserve({ ids: ['a', 'b'] }))).toBe('reserved')
    const workers = createWorkerStore(lossy, table)
    expect(await workers.list(flow)).toMatchObject({ roster: 1 })
    await sound.begin()
    const successor = { flow, worker: 'worker-1', successor: 'c', nowMs: t0, untilMs: t0 + 1 }
    expect(await withLostAnswer(() => workers.reserveSuccessor(successor))).toBe('reserved')
  })

  test('a renewal is accepted, with the partitions that the worker has not taken', async () => {
    await sound.begin()
    const orders = { topic: 'orders', partition: 0, topicIsKnown: true }
    const fresh = { topic: 'orders', partition: 1, topicIsKnown: false }
    expect(await withLostAnswer(() => losing.assign({ partitions: [orders, fresh] }))).toBe(
      'assigned',
    )
    expect(await withLostAnswer(() => losing.renew({ taken: [orders] }))).toEqual({
      kind: 'renewed',
      assigned: [fresh],
    })
  })

  test('the end that it declared is its own, so that it tells of the end', async () => {
    await sound.begin()
    const over = { nowMs: t0 + workerLeaseMs }
    expect(await withLostAnswer(() => losing.declareEnded(over))).toEqual({ kind: 'ended-now' })
    expect(await sound.declareEnded(over)).toEqual({ kind: 'had-ended' })
  })

  test('a run that ends in order deletes its row, and a sweep the row of another', async () => {
    await sound.begin()
    await withLostAnswer(() => losing.end())
    expect(await sound.found()).toBeNull()
    await sound.begin()
    const endedBeforeMs = t0 + workerLeaseMs + 1
    expect(await withLostAnswer(() => losing.sweep({ endedBeforeMs }))).toBe('swept')
  })
})

describe('when an answer is lost while a partition is acquired', () => {
  test('a free partition is ours, once, and the hand-over is clean', async () => {
    const taken = await withLostAnswer(() => acquiredBy(losing, 'worker-1'))
    expect(taken).toMatchObject({
      kind: 'acquired',
      cleanHandOver: true,
      checkpoint: { lease: { owner: 'worker-1', fence: 1 } },
    })
  })

  test.each([
    ['the refusal by the partition', 0],
    ['the declaration that its worker has ended', 1],
    ['the acquisition itself', 2],
  ])(
    'the partition of a worker that had ended is taken once, whether the answer was that of %s',
    async (_, answered) => {
      await sound.begin()
      await acquiredBy(sound, 'worker-1')
      const nowMs = t0 + workerLeaseMs
      const taken = await withLostAnswer(() => acquiredBy(losing, 'worker-2', nowMs), answered)
      expect(taken).toMatchObject({
        kind: 'acquired',
        cleanHandOver: false,
        tookFromWorker: true,
        checkpoint: { lease: { owner: 'worker-2', fence: 2, untilMs: nowMs + leaseMs } },
      })
      expect(taken).not.toHaveProperty('datedAheadMs')
    },
  )

  test('a partition is left once', async () => {
    await acquiredBy(sound, 'worker-1')
    const { leave } = createCheckpointStore(lossy, table)
    expect(await withLostAnswer(() => leave({ key, fence: 1 }))).toBe('left')
  })
})

describe('the worker of a partition is looked at once', () => {
  test('taking all partitions of a worker that had ended declares its end in one request', async () => {
    await sound.begin()
    const keys = Array.from({ length: 40 }, (_, partition) => partitionKey({ partition }))
    for (const each of keys) await sound.acquire({ key: each, owner: 'worker-1', lease: 'worker' })
    const requests = countRequests(lossy)
    const store = createCheckpointStore(lossy, table)
    const nowMs = t0 + workerLeaseMs
    const asked = { owner: 'worker-2', targetTopic: 'commit-log', nowMs, leaseMs } as const
    const take = (each: typeof key) => store.acquire({ ...asked, key: each, lease: 'worker' })
    const taken = await Promise.all(keys.map(take))
    expect(taken.every(each => each.kind === 'acquired' && each.tookFromWorker)).toBe(true)
    // Each partition is refused, then taken.
    expect(requests()).toBe(2 * keys.length + 1)
  })

  test('a successor that asks for leases again and again looks at its predecessor once a second', async () => {
    await sound.begin()
    await acquiredBy(sound, 'worker-1')
    const store = createCheckpointStore(lossy, table)
    const requests = countRequests(lossy)
    const untilMs = t0 + workerLeaseMs
    for (let ms = 0; ms < 1_000; ms += 200) {
      const asked = { key, owner: 'worker-2', targetTopic: 'commit-log', leaseMs } as const
      const held = await store.acquire({ ...asked, nowMs: t0 + ms, lease: 'worker' })
      expect(held).toEqual({ kind: 'held', owner: 'worker-1', untilMs, lease: 'worker' })
    }
    expect(requests()).toBe(5 + 1)
  })
})

function countRequests(counted: DynamoDBClient): () => number {
  let count = 0
  counted.middlewareStack.add(
    next => args => {
      count += 1
      return next(args)
    },
    { step: 'finalizeRequest', priority: 'low', name: 'countRequests', override: true },
  )
  return () => count
}

describe('a table that the version before uses too', () => {
  const former = () => createStoreBefore(client, table)
  const asked = { key, targetTopic: 'primary.commit-log', leaseMs }
  const saved = { key, state: replicating, lease: { kind: 'release' as const } }
  const lease = async () =>
    (await createCheckpointStore(client, table).list(flow)).checkpoints[0]?.lease

  test('the version before lists the partitions and none of the workers', async () => {
    await sound.reserve({ ids: ['worker-2'] })
    await sound.begin()
    await acquiredBy(sound, 'worker-1')
    expect(await former().list(flow)).toEqual([`checkpoint/commit-log/0000000000`])
  })

  test('a partition that a run of the version before holds is held, and is taken when its own lease is over', async () => {
    expect(await former().acquire({ ...asked, owner: 'old', nowMs: t0 })).toMatchObject({
      fence: 1,
    })
    await sound.begin()
    const untilMs = t0 + leaseMs
    expect(await lease()).toEqual({ owner: 'old', fence: 1, untilMs })
    const held = { kind: 'held', owner: 'old', untilMs, lease: 'own' }
    expect(await acquiredBy(sound, 'worker-1', untilMs - 1)).toEqual(held)
    const taken = await acquiredBy(sound, 'worker-1', untilMs)
    expect(taken).toMatchObject({ kind: 'acquired', cleanHandOver: false })
    expect(taken).not.toHaveProperty('tookFromWorker')
    expect(await former().save({ ...saved, fence: 1, write: 1, nowMs: untilMs })).toBe('lease-lost')
  })

  test('a partition that the version before released is acquired cleanly, and the other way round', async () => {
    await former().acquire({ ...asked, owner: 'old', nowMs: t0 })
    await former().save({ ...saved, fence: 1, write: 1, nowMs: t0 + 1 })
    expect(await acquiredBy(sound, 'worker-1', t0 + 2)).toMatchObject({
      cleanHandOver: true,
      checkpoint: { state: replicating, lease: { fence: 2 } },
    })
    await sound.save({ fence: 2, lease: { kind: 'release' } })
    expect(await former().acquire({ ...asked, owner: 'old', nowMs: t0 + 3 })).toEqual({
      kind: 'acquired',
      fence: 3,
      cleanHandOver: true,
    })
  })

  test('the version before takes an idle partition from a live worker by the time in its row, and that worker stores nothing more', async () => {
    await sound.begin()
    await acquiredBy(sound, 'worker-1')
    await sound.save({ fence: 1 })
    const storedUntilMs = t0 + 1 + leaseMs
    const owner = 'old'
    expect(await former().acquire({ ...asked, owner, nowMs: storedUntilMs - 1 })).toMatchObject({
      kind: 'held',
      owner: 'worker-1',
    })
    expect(await sound.renew({ nowMs: storedUntilMs })).toMatchObject({ kind: 'renewed' })
    expect(await former().acquire({ ...asked, owner, nowMs: storedUntilMs })).toEqual({
      kind: 'acquired',
      fence: 2,
      cleanHandOver: false,
    })
    expect(await sound.save({ fence: 1, write: 2, lease: { kind: 'release' } })).toBe('lease-lost')

    // The row names the worker still, which lives; the partition is under a lease of its own.
    const untilMs = storedUntilMs + leaseMs
    expect(await lease()).toEqual({ owner, fence: 2, untilMs })
    const held = { kind: 'held', owner, untilMs, lease: 'own' }
    for (const worker of ['worker-1', 'worker-2']) {
      expect(await acquiredBy(sound, worker, untilMs - 1)).toEqual(held)
    }
    expect(await acquiredBy(sound, 'worker-2', untilMs)).toMatchObject({
      kind: 'acquired',
      cleanHandOver: false,
      checkpoint: { lease: { owner: 'worker-2', fence: 3 } },
    })
  })

  test('a worker that crashed leaves its partitions to the version before, which finds them as those of a crashed run', async () => {
    await sound.begin()
    await acquiredBy(sound, 'worker-1')
    await sound.declareEnded({ when: 'in-any-case' })
    const nowMs = t0 + leaseMs
    expect(await former().acquire({ ...asked, owner: 'old', nowMs })).toEqual({
      kind: 'acquired',
      fence: 2,
      cleanHandOver: false,
    })
    expect(await former().save({ ...saved, fence: 2, write: 1, nowMs })).toBe('saved')
    expect(await acquiredBy(sound, 'worker-2', nowMs + 1)).toMatchObject({ cleanHandOver: true })
  })
})

describe('first sendings that arrive late', () => {
  test('the late acquisition of a worker that has ended is undone by the next owner at once', async () => {
    await sound.begin()
    await acquiredBy(sound, 'worker-1')
    await sound.save({ fence: 1, lease: { kind: 'release' } })
    await sound.end()
    // The first sending of its own acquisition finds the lease released, long after the run.
    await acquiredBy(sound, 'worker-1')
    expect(await acquiredBy(sound, 'worker-2', t0 + 2)).toMatchObject({
      kind: 'acquired',
      cleanHandOver: false,
      tookFromWorker: true,
      checkpoint: { state: replicating, lease: { fence: 3 } },
    })
  })

  test('the late declaration of an end finds a lease that was renewed since, and ends nobody', async () => {
    await sound.begin()
    const overAtMs = t0 + workerLeaseMs
    await sound.renew({ nowMs: overAtMs })
    expect(await sound.declareEnded({ nowMs: overAtMs })).toMatchObject({ kind: 'live' })
  })

  test('the late sending of a save by a worker that was replaced stores nothing', async () => {
    await sound.begin()
    await acquiredBy(sound, 'worker-1')
    await sound.declareEnded({ when: 'in-any-case' })
    await acquiredBy(sound, 'worker-2')
    expect(await sound.save({ fence: 1 })).toBe('lease-lost')
  })
})
