// The divergence point of the source, and the range of records that only the target has, in
// histories of any elections. Both are compared with the contents of the two logs.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import {
  isControlBatch,
  nextOffsetAfter,
  type RecordBatch,
} from '../../../../lib/kafka/record-batch.ts'
import type { FakeLog, FakeReplica } from '../../../support/doubles/fake-log.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

type Step =
  | { readonly kind: 'write'; readonly batches: number; readonly recordsCount: number }
  | { readonly kind: 'transaction'; readonly how: 'commit' | 'abort'; readonly batches: number }
  | { readonly kind: 'hole'; readonly offsets: bigint }
  | { readonly kind: 'orderly election' }
  /** The replica goes offline here; with `electReplica` it leads. */
  | { readonly kind: 'replica stops' }
  | { readonly kind: 'replica leads'; readonly which: number }
  | { readonly kind: 'shorter replica leads'; readonly batches: number }
  | { readonly kind: 'run' }

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      batches: fc.integer({ min: 1, max: 4 }),
      recordsCount: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('transaction' as const),
      how: fc.constantFrom('commit' as const, 'abort' as const),
      batches: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('hole' as const),
      offsets: fc.bigInt({ min: 1n, max: 9n }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'orderly election' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'replica stops' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('replica leads' as const), which: fc.nat(9) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('shorter replica leads' as const),
      batches: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'run' as const }) },
)

function happen(log: FakeLog, stopped: FakeReplica[], step: Exclude<Step, { kind: 'run' }>): void {
  switch (step.kind) {
    case 'write':
      writeBatches(log, step.batches, step.recordsCount)
      return
    case 'transaction': {
      const producerId = 7n
      for (let each = 0; each < step.batches; each += 1) {
        log.write(batchOf(2, { attributes: TRANSACTIONAL, producerId }))
      }
      log.endTransaction(producerId, step.how)
      return
    }
    case 'hole':
      return log.leaveHole(step.offsets)
    case 'orderly election':
      return log.elect()
    case 'replica stops':
      stopped.push(log.replica())
      return
    case 'replica leads': {
      const replica = stopped[step.which % Math.max(stopped.length, 1)]
      if (replica !== undefined) log.electReplica(replica)
      return
    }
    case 'shorter replica leads': {
      const kept = log.batches.at(-1 - step.batches)
      log.elect(kept === undefined ? 0n : nextOffsetAfter(kept))
    }
  }
}

const contentOf = (batch: RecordBatch) =>
  `${batch.baseOffset} ${batch.partitionLeaderEpoch} ${batch.bytes.subarray(17).toString('hex')}`

const inFrontOf = (batches: readonly RecordBatch[], offset: bigint) =>
  batches.filter(each => nextOffsetAfter(each) <= offset).map(contentOf)

const firstFrom = (batches: readonly RecordBatch[], offset: bigint) => {
  const found = batches.find(each => nextOffsetAfter(each) > offset)
  return found === undefined ? null : contentOf(found)
}

/** The data batches of a log that read-committed consumers see, with their offsets. */
function committed(log: FakeLog) {
  const aborted = log.abortedFrom(0n)
  return log.batches.filter(batch => {
    if (isControlBatch(batch) || batch.baseOffset >= log.lastStable()) return false
    const { producerId } = batch
    const isAborted = aborted.some(each => each.producerId === producerId)
    if (!isAborted || producerId === null) return true
    // Transactions of one producer follow each other: the marker behind this one is its own.
    const marker = log.batches.find(
      each => isControlBatch(each) && each.baseOffset > batch.baseOffset,
    )
    return marker !== undefined && !isAbort(marker)
  })
}

const isAbort = (marker: RecordBatch) => marker.bytes.readInt16BE(61 + 5 + 2) === 0

const known = async (world: World) => {
  const position = positionOf((await world.checkpoint('orders'))?.state ?? { kind: 'unstarted' })
  if (position === null) throw new Error('orders has no position')
  return position
}

/** The offsets of a source batch on the target; of its last copy, if it has several. */
function onTarget(world: World, batch: RecordBatch | undefined) {
  const payload = batch?.bytes.subarray(61).toString()
  const there = world
    .targetLog('orders')
    .batches.findLast(each => each.bytes.subarray(61).toString() === payload)
  return there === undefined ? null : { from: there.baseOffset, to: nextOffsetAfter(there) }
}

test('a log that is lost, comes back and is lost again is two incidents', async () => {
  const world = createWorld({ flow: { onDivergence: 'continue' } })
  world.createTopic('orders')
  const log = world.sourceLog('orders')
  const empty = log.replica()
  writeBatches(log, 1, 2)
  const full = log.replica()
  await world.run('orders')
  for (const replica of [empty, full, empty]) {
    log.electReplica(replica)
    await world.run('orders')
  }
  const incidents = await world.storedIncidents()
  expect(incidents).toMatchObject([
    { evidence: { onlyOnTargetFrom: '0', onlyOnTargetTo: '2' } },
    { evidence: { onlyOnTargetFrom: '2', onlyOnTargetTo: '4' } },
  ])
  const [topicId, ...rest] = incidents.map(each => each.evidence.topicId)
  expect(rest).toEqual([topicId])
  expect(incidents.map(each => each.id)).toEqual([
    `log-diverged:orders:0:${topicId}:2:0:0`,
    `log-diverged:orders:0:${topicId}:rewound-1:2:0:0`,
  ])
})

describe('whatever elections there were, with and without growth,', () => {
  test('after any elections, the divergence point and the standby range are those of the two logs', async () => {
    let diverged = 0
    let exact = 0
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 4, maxLength: 24 }), async story => {
        const world = createWorld({ flow: { onDivergence: 'continue' } })
        world.createTopic('orders')
        const log = world.sourceLog('orders')
        const stopped: FakeReplica[] = []
        let copied: readonly RecordBatch[] = []
        let copiedData: readonly RecordBatch[] = []
        const seen = new Set<string>()
        for (const step of [...story, { kind: 'run' as const }]) {
          if (step.kind !== 'run') {
            happen(log, stopped, step)
            continue
          }
          const isFirst = (await world.checkpoint('orders')) === null
          const before = isFirst ? null : await known(world)
          const standby = payloads(world.targetLog('orders'))
          const report = await world.run('orders')
          expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
          const incidents = (await world.storedIncidents()).filter(each => !seen.has(each.id))
          for (const { id } of incidents) seen.add(id)
          const end = before?.nextSourceOffset ?? 0n
          const ours = copied.filter(each => nextOffsetAfter(each) <= end)
          const incident = incidents[0]
          let from = end
          // A log that ends at the position is not fetched: its divergence is detected with the
          // next record.
          if (incident === undefined && before !== null && log.lastStable() === end) continue
          if (incident === undefined) {
            // Every copied record is still in the source.
            expect(inFrontOf(log.batches, end)).toEqual(ours.map(contentOf))
          } else {
            diverged += 1
            expect(incidents).toMatchObject([
              { kind: 'log-diverged', expectedOffset: end, resolution: 'continued' },
            ])
            from = incident.foundOffset ?? -1n
            expect(inFrontOf(log.batches, from)).toEqual(inFrontOf(ours, from))
            const next = firstFrom(ours, from)
            if (next !== null) expect(firstFrom(log.batches, from)).not.toBe(next)
            const {
              onlyOnTargetFrom = '-1',
              onlyOnTargetTo,
              onlyOnTargetFromIs,
            } = incident.evidence
            expect(onlyOnTargetTo).toBe(String(before?.nextTargetOffset))
            const begin = BigInt(onlyOnTargetFrom)
            const lost = copiedData.find(each => each.baseOffset >= from)
            expect(begin).toBeLessThanOrEqual(onTarget(world, lost)?.from ?? begin)
            if (onlyOnTargetFromIs === 'exact') {
              exact += 1
              const kept = committed(log).findLast(each => nextOffsetAfter(each) <= from)
              expect(begin).toBeGreaterThanOrEqual(onTarget(world, kept)?.to ?? 0n)
            }
          }
          // No hole, no duplicate: the standby goes on with the source's records from there.
          const fresh = committed(log).filter(each => each.baseOffset >= from)
          expect(payloads(world.targetLog('orders')).slice(standby.length)).toEqual(
            fresh.map(each => each.bytes.subarray(61).toString()),
          )
          copied = log.batches
          copiedData = committed(log)
        }
      }),
      { numRuns: 400 },
    )
    expect(diverged).toBeGreaterThan(30)
    // Behind a transaction that an election left open, the source has no record to compare. About
    // nine of ten ranges are exact with any seed.
    expect(exact / diverged).toBeGreaterThan(0.5)
  })
})
