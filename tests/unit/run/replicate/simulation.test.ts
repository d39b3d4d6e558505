// Runs under random faults of the brokers, which must break none of the invariants. A failing case
// shrinks and prints its seed; run it again with fc.assert(..., { seed, path }).

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ErrorName } from '../../../../lib/kafka/error-codes.ts'
import type { PartitionReport } from '../../../../lib/run/partition/partition-run.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { type ProduceFault, planFaults } from '../../../support/doubles/produce-faults.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
} from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

const TOPIC = 'orders'
const TARGET = `primary.${TOPIC}`
const SOURCE_BROKERS = 3

type Written = 'batch' | 'committed' | 'aborted' | 'hole' | 'emptied'

const written: fc.Arbitrary<Written> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Written>('batch') },
  { weight: 1, arbitrary: fc.constantFrom<Written>('committed', 'aborted', 'hole', 'emptied') },
)

const errors = <T extends ErrorName>(...names: T[]) => fc.constantFrom(...names)

const produceFault: fc.Arbitrary<ProduceFault> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<ProduceFault>({ kind: 'none' }) },
  { weight: 1, arbitrary: fc.constant<ProduceFault>({ kind: 'lost' }) },
  { weight: 1, arbitrary: fc.constant<ProduceFault>({ kind: 'answer-lost' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('slow' as const), ms: fc.nat(3_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('refused' as const),
      error: errors('NOT_ENOUGH_REPLICAS', 'NOT_LEADER_OR_FOLLOWER', 'UNKNOWN_TOPIC_OR_PARTITION'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('appended-and-refused' as const),
      error: errors('NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'REQUEST_TIMED_OUT'),
    }),
  },
)

type FetchFault = 'none' | 'lost' | 'moved' | 'refused'
const fetchFault = fc.constantFrom<FetchFault>('none', 'none', 'none', 'lost', 'moved', 'refused')

const plans = fc.record({
  partitions: fc.array(fc.array(written, { maxLength: 25 }), { minLength: 1, maxLength: 5 }),
  produce: fc.array(produceFault, { maxLength: 25 }),
  fetch: fc.array(fetchFault, { maxLength: 10 }),
  runs: fc.array(
    fc.record({
      /** The deadline of the run: short enough that some runs end with requests in flight. */
      ms: fc.nat(60),
      /** The table refuses the run's writes after so many, as if it had crashed; null: never. */
      diesAfterWrites: fc.option(fc.nat(4)),
    }),
    { maxLength: 3 },
  ),
  bufferBytesMax: fc.constantFrom(1024, 4096, 1024 * 1024),
  offsets: fc.constantFrom('preserve' as const, 'translate' as const),
})

type Plan = typeof plans extends fc.Arbitrary<infer T> ? T : never

/** Cases that once failed, each with its bug. */
const foundBefore: [Plan][] = [
  // The first batch of a producer was refused while the second one was in flight, and the broker
  // appended the second one first.
  [
    {
      partitions: [['batch', 'batch']],
      produce: [{ kind: 'lost' }],
      fetch: [],
      runs: [{ ms: 2, diesAfterWrites: null }],
      bufferBytesMax: 1024,
      offsets: 'translate',
    },
  ],
  // Batches that waited to be resent, and might be on the target, were dropped at the deadline.
  [
    {
      partitions: [Array<Written>(3).fill('batch'), Array<Written>(6).fill('batch')],
      produce: [
        { kind: 'none' },
        { kind: 'none' },
        { kind: 'appended-and-refused', error: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' },
      ],
      fetch: [],
      runs: [{ ms: 16, diesAfterWrites: null }],
      bufferBytesMax: 1024,
      offsets: 'translate',
    },
  ],
  // Aborted data whose offsets a dead run had filled were passed, and nobody saw that the queue was
  // empty: the run went on until its deadline.
  [
    {
      partitions: [[], [], ['aborted']],
      produce: [],
      fetch: [],
      runs: [{ ms: 2, diesAfterWrites: 4 }],
      bufferBytesMax: 1024,
      offsets: 'preserve',
    },
  ],
  // Aborted data waited for the next fetch, which waited for the room that they took.
  [
    {
      partitions: [
        ['batch', 'batch', 'committed', 'batch'],
        ['batch', 'aborted'],
      ],
      produce: [],
      fetch: [],
      runs: [],
      bufferBytesMax: 1024,
      offsets: 'preserve',
    },
  ],
]

function write(log: FakeLog, what: Written, producerId: bigint): void {
  switch (what) {
    case 'batch':
      log.write(batchOf(3))
      return
    case 'committed':
    case 'aborted':
      log.write(batchOf(2, { attributes: TRANSACTIONAL, producerId }))
      log.write(batchOf(1, { attributes: TRANSACTIONAL, producerId }))
      log.endTransaction(producerId, what === 'aborted' ? 'abort' : 'commit')
      return
    case 'hole':
      return log.leaveHole(4n)
    case 'emptied':
      log.write({ recordsCount: 0, lastOffsetDelta: 2 })
  }
}

/** The payloads that a read-committed consumer of the source sees below `end`. */
function committed(world: World, partition: number, end: bigint): string[] {
  const log = world.sourceLog(TOPIC, partition)
  const aborted = log.abortedFrom(0n)
  const isAborted = (offset: bigint, producerId: bigint | null) =>
    aborted.some(each => each.producerId === producerId && each.firstOffset <= offset)
  return log.batches
    .filter(
      each => (each.attributes & 0x20) === 0 && each.recordsCount > 0 && each.baseOffset < end,
    )
    .filter(each => !isAborted(each.baseOffset, each.producerId))
    .map(each => each.bytes.subarray(61).toString())
}

/** Checks the invariants between two runs; returns whether the lease was released. */
async function check(world: World, { partition, outcome }: PartitionReport): Promise<boolean> {
  const checkpoint = await world.checkpoint(TOPIC, partition)
  const state = checkpoint?.state
  if (state?.kind !== 'replicating') {
    expect(outcome).not.toBe('drained')
    return checkpoint?.lease.untilMs === null
  }
  const { nextSourceOffset, nextTargetOffset } = state.position
  const standby = payloads(world.targetLog(TOPIC, partition))
  const expected = committed(world, partition, nextSourceOffset)
  // No hole: the target starts with every committed record below the checkpoint, in order.
  expect(standby.slice(0, expected.length)).toEqual(expected)
  expect(world.targetLog(TOPIC, partition).logEnd).toBeGreaterThanOrEqual(nextTargetOffset)
  const isReleased = checkpoint?.lease.untilMs === null
  // A released lease means that the target ends where the checkpoint says.
  if (isReleased) expect(world.targetLog(TOPIC, partition).logEnd).toBe(nextTargetOffset)
  return isReleased
}

function planFetchFaults(world: World, plan: readonly FetchFault[]): void {
  let arrived = 0
  world.source.control('fetch', async (serve, leaderId, request) => {
    const fault = plan[arrived] ?? 'none'
    arrived += 1
    await world.clock.wait(1)
    if (fault === 'lost') throw connectionLost('primary')
    if (fault === 'refused') return { errorCode: -1, sessionId: null, partitions: [] }
    if (fault === 'moved') {
      for (const { partition } of request.topics.flatMap(topic => topic.partitions)) {
        world.source.moveLeader(TOPIC, partition, 1 + (leaderId % SOURCE_BROKERS))
      }
    }
    return serve(leaderId, request)
  })
}

test('under any faults of the brokers every record is copied once, in order, and raises no incident', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async plan => {
      const { bufferBytesMax, offsets } = plan
      const budgets = { bufferBytesMax, fetchBytesMax: 1024, partitionFetchBytesMax: 1024 }
      const world = createWorld({
        flow: { offsets, budgets: { ...budgets, fetchWaitMs: 5 } },
        sourceBrokers: SOURCE_BROKERS,
        targetBrokers: 2,
      })
      const partitions = plan.partitions.map((_, partition) => partition)
      world.createTopic(TOPIC, partitions.length)
      plan.partitions.forEach((each, partition) => {
        each.forEach((what, index) => {
          write(world.sourceLog(TOPIC, partition), what, BigInt(index))
        })
      })
      planFetchFaults(world, plan.fetch)
      world.target.control('produce', planFaults(world.clock, plan.produce).control)
      const crashed = new Set<number>()

      for (const { ms, diesAfterWrites } of [...plan.runs, { ms: null, diesAfterWrites: null }]) {
        // Wait until the leases that were not released have expired.
        if (crashed.size > 0) await world.clock.wait(30_000)
        if (ms === null) {
          world.source.control('fetch', null)
          world.target.control('produce', null)
        }
        let writes = 0
        const deps = watchStores(world, async () => {
          writes += 1
          if (diesAfterWrites !== null && writes > diesAfterWrites) throw new Error('dead')
        })
        const deadlineMs = world.clock.nowMs() + (ms ?? 600_000)
        const report = await world.run(TOPIC, { partitions, deadlineMs, deps })
        for (const each of report.partitions) {
          if (ms === null) expect(each).toMatchObject({ outcome: 'drained' })
          if (!(await check(world, each))) crashed.add(each.partition)
        }
      }

      expect(await world.storedIncidents()).toEqual([])
      for (const partition of partitions) {
        const expected = committed(world, partition, world.sourceLog(TOPIC, partition).logEnd)
        const standby = payloads(world.target.log(TARGET, partition))
        expect(standby).toEqual(expected)
      }
    }),
    { numRuns: 300, examples: foundBefore },
  )
}, 60_000)
