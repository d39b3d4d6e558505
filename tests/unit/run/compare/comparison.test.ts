// The records of a dead owner on the target are recognized, however the source is batched or was
// compacted since.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import type { CopiedBatch } from '../../../../lib/core/replicate/copied-batch.ts'
import { bodyOf } from '../../../../lib/kafka/record.ts'
import { nextOffsetAfter, type RecordBatch } from '../../../../lib/kafka/record-batch.ts'
import { packRecords, type SourceRecord } from '../../../../lib/kafka/repack.ts'
import { createComparison } from '../../../../lib/run/compare/comparison.ts'

const EPOCH = 3

/** All records have one timestamp, so that only their contents distinguish them. */
function recordAt(offset: bigint): SourceRecord {
  const body = bodyOf(Buffer.from(`key-${offset}`), Buffer.from(`value of ${offset}`))
  return { attributes: 0, offset, timestamp: 1_700_000_000_000n, body }
}

function batchOf(records: readonly SourceRecord[], codec: 'none' | 'gzip' = 'none'): RecordBatch {
  const packed = packRecords(records, { partitionLeaderEpoch: EPOCH }, codec)
  if (packed === null) throw new Error('a batch without records')
  return packed
}

/** Splits the records into batches that end behind the given ones. */
function cut(records: readonly SourceRecord[], ends: ReadonlySet<bigint>): SourceRecord[][] {
  const batches: SourceRecord[][] = [[]]
  for (const record of records) {
    batches.at(-1)?.push(record)
    if (ends.has(record.offset)) batches.push([])
  }
  return batches.filter(each => each.length > 0)
}

async function compare(source: readonly SourceRecord[][], target: readonly RecordBatch[]) {
  const waiting: CopiedBatch[] = source.map(records => {
    const last = records.at(-1)?.offset ?? 0n
    return { batch: batchOf(records), nextSourceOffset: sourceOffset(last + 1n), epoch: EPOCH }
  })
  const comparison = createComparison({
    first: async () => waiting[0] ?? null,
    take: () => void waiting.shift(),
  })
  let unmatched = 0
  for (const batch of target) unmatched += (await comparison.match(batch)).unmatchedRecords
  return { next: comparison.reached()?.nextSourceOffset ?? 0n, unmatched }
}

const all = Array.from({ length: 12 }, (_, index) => recordAt(BigInt(index)))
const first = (count: number) => all.slice(0, count)

describe('what is on the target is recognized', () => {
  test('records on the target are recognized batch by batch where nothing has changed', async () => {
    const source = cut(all, new Set([3n, 7n]))
    const target = [batchOf(first(4)), batchOf(all.slice(4, 8))]
    expect(await compare(source, target)).toEqual({ next: 8n, unmatched: 0 })
  })

  test('records on the target are recognized inside a source batch of which the standby has one half', async () => {
    expect(await compare([all], [batchOf(first(6))])).toEqual({ next: 6n, unmatched: 0 })
  })

  test('records on the target are recognized where compaction has removed records from the source since', async () => {
    const left = [all[1], all[5], all[9]].filter(each => each !== undefined)
    const found = await compare([left], [batchOf(first(8))])
    expect(found).toEqual({ next: 6n, unmatched: 6 })
  })

  test('records on the target are recognized between records of another producer', async () => {
    const foreign = batchOf([recordAt(700n), recordAt(701n)])
    const target = [foreign, batchOf(first(4)), foreign]
    expect(await compare(cut(all, new Set([3n])), target)).toEqual({ next: 4n, unmatched: 4 })
  })

  test('a record on the target is recognized only with the same timestamp, key, value and headers', async () => {
    const later = first(2).map(each => ({ ...each, timestamp: each.timestamp + 1n }))
    expect(await compare([all], [batchOf(later)])).toEqual({ next: 0n, unmatched: 2 })
  })

  test('no record on the target is recognized where all are of another producer', async () => {
    const target = [batchOf([recordAt(700n)])]
    expect(await compare([all], target)).toEqual({ next: 0n, unmatched: 1 })
  })
})

test('a damaged batch of the target matches no record and is reported as unreadable', async () => {
  const damaged = batchOf(first(4))
  damaged.bytes.writeUInt8(255, damaged.bytes.length - 5)
  const candidate: CopiedBatch = {
    batch: batchOf(all),
    nextSourceOffset: sourceOffset(nextOffsetAfter(batchOf(all))),
    epoch: EPOCH,
  }
  const comparison = createComparison({ first: async () => candidate, take: () => undefined })
  expect(await comparison.match(damaged)).toEqual({
    unmatchedRecords: 4,
    isLastMatched: false,
    wasReadable: false,
  })
  expect(comparison.reached()).toBeNull()
})

test('however both sides are batched and whatever compaction removed, no record on the target is copied again and no other record is skipped', async () => {
  const offsets = fc.uniqueArray(fc.bigInt(0n, 11n), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(
      fc.record({ copied: fc.nat(12), removed: offsets, sourceEnds: offsets, targetEnds: offsets }),
      async ({ copied, removed, sourceEnds, targetEnds }) => {
        const left = all.filter(each => !removed.includes(each.offset))
        const target = cut(first(copied), new Set(targetEnds)).map(each => batchOf(each))
        const { next } = await compare(cut(left, new Set(sourceEnds)), target)
        const toCopy = left.filter(each => each.offset >= next)
        expect(toCopy).toEqual(left.filter(each => each.offset >= BigInt(copied)))
      },
    ),
    { numRuns: 500 },
  )
})
