import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import { type Admission, admitBatches } from '../../../../lib/core/replicate/batch-admission.ts'
import { readSourceRecords } from '../../../../lib/kafka/repack.ts'
import {
  type BatchFields,
  buildBatch,
  buildMarker,
  CONTROL,
  LOG_APPEND_TIME,
  TRANSACTIONAL,
} from '../../kafka/batches.ts'
import {
  batchOf,
  legacyEntry,
  legacySet,
  recordsOf,
  testRecord,
  testRecords,
} from '../../kafka/record-bytes.ts'

/** Admits the batches as the answer to a fetch at `at`. */
function admit(
  batches: readonly Buffer[],
  at = 100n,
  abortedTransactions: readonly { producerId: bigint; firstOffset: bigint }[] = [],
): Admission {
  const records = batches.length === 0 ? null : Buffer.concat(batches)
  return admitBatches({ records, abortedTransactions }, sourceOffset(at))
}

const data = (baseOffset: bigint, recordsCount: number, fields: BatchFields = {}) =>
  buildBatch({ baseOffset, recordsCount, ...fields })

const inTransaction = (producerId: bigint, baseOffset: bigint, recordsCount: number) =>
  data(baseOffset, recordsCount, { producerId, attributes: TRANSACTIONAL })

const commit = (producerId: bigint, baseOffset: bigint) =>
  buildMarker({ producerId, type: 1, baseOffset })
const abort = (producerId: bigint, baseOffset: bigint) =>
  buildMarker({ producerId, type: 0, baseOffset })

/** The copied batches as [base offset, next source offset]. */
function copiedRanges({ copied }: Admission): [bigint, bigint][] {
  return copied.map(each => [each.batch.baseOffset, each.nextSourceOffset])
}

const offsetsIn = (batch: Admission['copied'][number]['batch']) =>
  readSourceRecords(batch).map(each => each.offset)

describe('batches of data', () => {
  test('data batches are copied in order, each with the offset behind it', () => {
    const admission = admit([data(100n, 10), data(110n, 5), data(115n, 1)])
    expect(copiedRanges(admission)).toEqual([
      [100n, 110n],
      [110n, 115n],
      [115n, 116n],
    ])
    expect(admission).toMatchObject({ skipped: null, nextFetchOffset: 116n, refusal: null })
  })

  test('batches below the position are not copied again', () => {
    const admission = admit([data(80n, 10), data(90n, 10), data(100n, 3)])
    expect(copiedRanges(admission)).toEqual([[100n, 103n]])
    expect(admission.skipped).toBeNull()
  })

  test('batches with missing offsets between them are copied, because compaction leaves holes', () => {
    const admission = admit([data(105n, 2), data(500n, 3)])
    expect(copiedRanges(admission)).toEqual([
      [105n, 107n],
      [500n, 503n],
    ])
    expect(admission.refusal).toBeNull()
  })

  test('a last batch that the broker cut off is left to the next fetch', () => {
    const cut = data(110n, 5, { payload: Buffer.alloc(200) }).subarray(0, 150)
    const admission = admit([data(100n, 10), cut])
    expect(copiedRanges(admission)).toEqual([[100n, 110n]])
    expect(admission).toMatchObject({ nextFetchOffset: 110n, refusal: null })
  })

  test('batches of an idempotent producer outside of a transaction are copied', () => {
    expect(copiedRanges(admit([data(100n, 2, { producerId: 7n })]))).toEqual([[100n, 102n]])
  })
})

test('small batches of aborted transactions are told from others, however alike', () => {
  const small = (offset: bigint, producerId: bigint) =>
    batchOf([testRecord(offset)], { producerId, attributes: TRANSACTIONAL })
  const batches = () => [small(100n, 7n), small(101n, 8n), small(102n, 7n), small(103n, 7n)]
  const aborted = [{ producerId: 8n, firstOffset: 101n }]
  expect(admit(batches(), 100n, aborted).copied.flatMap(each => offsetsIn(each.batch))).toEqual([
    100n,
    102n,
    103n,
  ])
  const { copied } = admit(batches())
  expect(copied.map(each => each.nextSourceOffset)).toEqual([104n])
  expect(copied.flatMap(each => offsetsIn(each.batch))).toEqual([100n, 101n, 102n, 103n])
})

test('behind a batch the epoch is that of the last one skipped', () => {
  const data = buildBatch({ baseOffset: 100n, partitionLeaderEpoch: 4 })
  const marker = buildMarker({ producerId: 7n, type: 0, baseOffset: 101n })
  marker.writeInt32BE(6, 12)
  expect(admit([marker])).toMatchObject({
    skipped: { nextSourceOffset: 102n, epoch: 6 },
    copied: [],
  })
  expect(admit([data, marker])).toMatchObject({
    skipped: null,
    copied: [{ nextSourceOffset: 102n, epoch: 6 }],
  })
})

describe('an answer without records', () => {
  test('a response without records moves nothing', () => {
    expect(admit([])).toEqual({
      skipped: null,
      copied: [],
      nextFetchOffset: 100n,
      refusal: null,
    })
  })
})

describe('what holds nothing to copy', () => {
  test('a batch without data that comes first moves the position', () => {
    const admission = admit([commit(7n, 100n), data(101n, 4)])
    expect(admission.skipped?.nextSourceOffset).toBe(101n)
    expect(copiedRanges(admission)).toEqual([[101n, 105n]])
  })

  test('a batch without data moves the position when the batch before it is acknowledged', () => {
    const admission = admit([data(100n, 4), commit(7n, 104n), abort(8n, 105n), data(106n, 1)])
    expect(copiedRanges(admission)).toEqual([
      [100n, 106n],
      [106n, 107n],
    ])
    expect(admission.skipped).toBeNull()
  })

  test('a batch that compaction emptied moves the position past all of its offsets', () => {
    const emptied = data(100n, 0, { lastOffsetDelta: 9 })
    const admission = admit([emptied, data(110n, 1)])
    expect(admission.skipped?.nextSourceOffset).toBe(110n)
    expect(copiedRanges(admission)).toEqual([[110n, 111n]])
  })

  test('any control batch is skipped, also one that ends no transaction', () => {
    const leaderChange = data(100n, 1, { attributes: CONTROL })
    expect(admit([leaderChange])).toMatchObject({
      skipped: { nextSourceOffset: 101n },
      copied: [],
      nextFetchOffset: 101n,
    })
  })

  test('a control batch is never sent, whatever its attributes', () => {
    const markerOfALogAppendTimeTopic = buildMarker({ producerId: 7n, type: 1, baseOffset: 100n })
    markerOfALogAppendTimeTopic.writeInt16BE(TRANSACTIONAL | CONTROL | LOG_APPEND_TIME, 21)
    const emptied = data(101n, 0, { lastOffsetDelta: 4, attributes: LOG_APPEND_TIME })
    expect(admit([markerOfALogAppendTimeTopic, emptied])).toMatchObject({
      skipped: { nextSourceOffset: 106n },
      copied: [],
      refusal: null,
    })
  })
})

describe('transactions', () => {
  test('committed transactions are copied without their markers', () => {
    const admission = admit([inTransaction(7n, 100n, 3), commit(7n, 103n)])
    expect(copiedRanges(admission)).toEqual([[100n, 104n]])
  })

  test('aborted transactions are not copied, and batches between theirs are', () => {
    const batches = [
      inTransaction(7n, 100n, 3),
      inTransaction(8n, 103n, 2),
      abort(7n, 105n),
      commit(8n, 106n),
    ]
    const admission = admit(batches, 100n, [{ producerId: 7n, firstOffset: 100n }])
    expect(admission.skipped?.nextSourceOffset).toBe(103n)
    expect(copiedRanges(admission)).toEqual([[103n, 107n]])
  })

  test('the marker separates an aborted transaction from the next one of its producer', () => {
    const batches = [inTransaction(7n, 100n, 1), abort(7n, 101n), inTransaction(7n, 102n, 1)]
    const admission = admit(batches, 100n, [{ producerId: 7n, firstOffset: 100n }])
    expect(copiedRanges(admission)).toEqual([[102n, 103n]])
  })

  test('an aborted transaction is recognized from a batch below the position on', () => {
    // The fetch position lies in the second batch of an answer that begins before it.
    const batches = [inTransaction(7n, 90n, 10), abort(7n, 100n), inTransaction(7n, 101n, 2)]
    const admission = admit(batches, 100n, [{ producerId: 7n, firstOffset: 90n }])
    expect(admission.skipped?.nextSourceOffset).toBe(101n)
    expect(copiedRanges(admission)).toEqual([[101n, 103n]])
  })

  test('batches behind an abort marker below the position are copied', () => {
    const batches = [inTransaction(7n, 98n, 1), abort(7n, 99n), inTransaction(7n, 100n, 2)]
    const admission = admit(batches, 100n, [{ producerId: 7n, firstOffset: 98n }])
    expect(copiedRanges(admission)).toEqual([[100n, 102n]])
  })

  test('an aborted batch that could not be produced is skipped', () => {
    const withHoles = data(100n, 1, {
      producerId: 7n,
      attributes: TRANSACTIONAL,
      lastOffsetDelta: 4,
    })
    const admission = admit([withHoles], 100n, [{ producerId: 7n, firstOffset: 100n }])
    expect(admission).toMatchObject({
      skipped: { nextSourceOffset: 105n },
      copied: [],
      refusal: null,
    })
  })
})

describe('a batch that cannot be passed on as it is', () => {
  /** The offset of each copied record in the source. */
  const copiedOffsets = ({ copied }: Admission) =>
    copied.map(({ batch }) => batch.recordOffsets ?? recordsOf(batch).map(each => each.offset))

  test('a batch that straddles the position is copied from the position on', () => {
    const admission = admit([batchOf(testRecords(95n, 10)), data(105n, 1)])
    expect(copiedRanges(admission)).toEqual([
      [100n, 105n],
      [105n, 106n],
    ])
    expect(admission.copied[0]?.batch.recordsCount).toBe(5)
    expect(admission).toMatchObject({ skipped: null, nextFetchOffset: 106n, refusal: null })
  })

  test('a batch with holes is copied without them, and the position passes the last one', () => {
    const holed = batchOf(testRecords(100n, 6, [100n, 102n]), {
      baseOffset: 100n,
      lastOffset: 109n,
    })
    const admission = admit([holed])
    expect(copiedOffsets(admission)).toEqual([[101n, 103n, 104n, 105n]])
    expect(copiedRanges(admission)).toEqual([[101n, 110n]])
  })

  test('a batch with LogAppendTime is copied with the append time as its timestamps', () => {
    const attributes = LOG_APPEND_TIME
    const admission = admit([batchOf(testRecords(100n, 3), { attributes, maxTimestamp: 9_000n })])
    expect(admission.copied[0]?.batch).toMatchObject({ attributes: 0, maxTimestamp: 9_000n })
  })

  test('old single records are coalesced into a v2 batch without a leader epoch', () => {
    const single = testRecords(100n, 3).map(each => legacyEntry(1, each))
    const set = legacySet(1, testRecords(103n, 4), 'gzip')
    const admission = admit([...single, set, legacyEntry(0, testRecord(107n)), data(108n, 2)])
    expect(copiedRanges(admission)).toEqual([
      [100n, 103n],
      [103n, 107n],
      [107n, 108n],
      [108n, 110n],
    ])
    expect(copiedOffsets(admission).slice(0, 2)).toEqual([
      [100n, 101n, 102n],
      [103n, 104n, 105n, 106n],
    ])
    expect(admission.copied.map(each => each.batch.partitionLeaderEpoch)).toEqual([-1, -1, -1, 0])
  })

  test('an old set that straddles the position is copied from the position on', () => {
    const single = testRecords(98n, 4).map(each => legacyEntry(0, each))
    expect(copiedOffsets(admit(single))).toEqual([[100n, 101n]])
    expect(copiedOffsets(admit([legacySet(1, testRecords(95n, 7), 'snappy')]))).toEqual([
      [100n, 101n],
    ])
  })

  test('old single records are coalesced only up to a bound', () => {
    const large = testRecords(100n, 3).map(each =>
      legacyEntry(1, { ...each, value: 'x'.repeat(100 * 1024) }),
    )
    expect(copiedOffsets(admit(large))).toEqual([[100n, 101n], [102n]])
  })

  test('a rewritten batch without records behind the position only moves it', () => {
    const left = batchOf(testRecords(95n, 3), { lastOffset: 109n })
    expect(admit([left])).toMatchObject({
      skipped: { nextSourceOffset: 110n },
      copied: [],
      refusal: null,
    })
    const behind = admit([data(100n, 2), batchOf([], { baseOffset: 102n, lastOffset: 109n })])
    expect(copiedRanges(behind)).toEqual([[100n, 110n]])
  })

  test('a rewritten batch leaves its neighbour in the memory it was read into', () => {
    const records = Buffer.concat([
      data(100n, 2),
      batchOf(testRecords(102n, 2, [102n]), { baseOffset: 102n }),
    ])
    const { copied } = admitBatches({ records, abortedTransactions: [] }, sourceOffset(100n))
    expect(copied.map(({ batch }) => batch.bytes.buffer === records.buffer)).toEqual([true, false])
  })
})

describe('a batch that is damaged', () => {
  const holed = () => batchOf(testRecords(100n, 5, [101n, 102n]))
  const flipped = (bytes: Buffer) => {
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 2) ^ 1, bytes.length - 2)
    return bytes
  }
  const refusals: Record<string, { readonly batch: Buffer; readonly detail: RegExp }> = {
    'and must be written anew': { batch: flipped(holed()), detail: /^batch up to 105: .* crc/ },
    'inside, whatever its checksum': {
      batch: data(100n, 3, { lastOffsetDelta: 9 }),
      detail: /^batch up to 110: .* 3 records do not fit/,
    },
    'and of an old format': {
      batch: flipped(legacyEntry(1, testRecord(100n))),
      detail: /^batch up to 101: .* crc/,
    },
    'and of a format nobody knows': { batch: data(100n, 3, { magic: 3 }), detail: /magic/ },
    'so that its record count is impossible': {
      batch: data(100n, 3, { lastOffsetDelta: 1 }),
      detail: /recordsCount/,
    },
    'so that its length runs past everything that was sent': {
      batch: data(100n, 3, { payload: Buffer.alloc(99) }).subarray(0, 70),
      detail: /length runs past/,
    },
  }
  for (const [what, { batch, detail }] of Object.entries(refusals)) {
    test(`${what} is refused at the position, and nothing from there on is copied`, () => {
      const { refusal, copied, nextFetchOffset } = admit([batch])
      expect(refusal?.offset).toBe(100n)
      expect(refusal?.detail).toMatch(detail)
      expect({ copied, nextFetchOffset }).toEqual({ copied: [], nextFetchOffset: 100n })
    })
  }

  test('batches in front of a damaged one are copied, and none behind it', () => {
    const batches = [
      data(100n, 5),
      commit(7n, 105n),
      data(106n, 2, { lastOffsetDelta: 8 }),
      data(115n, 1),
    ]
    const admission = admit(batches)
    expect(copiedRanges(admission)).toEqual([[100n, 106n]])
    expect(admission).toMatchObject({ nextFetchOffset: 106n, refusal: { offset: 106n } })
  })

  test('a damaged control batch is refused, not skipped', () => {
    const damaged = buildMarker({ producerId: 7n, type: 1, baseOffset: 100n }).subarray(0, 64)
    damaged.writeInt32BE(64 - 12, 8)
    expect(admit([damaged]).refusal?.offset).toBe(100n)
  })
})

describe('whatever a partition holds', () => {
  const part = fc.record({
    hole: fc.integer({ min: 0, max: 20 }),
    recordsCount: fc.integer({ min: 0, max: 8 }),
    gone: fc.nat(5),
    control: fc.boolean(),
  })

  test('every offset up to the next fetch is copied or skipped exactly once, in order', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.nat(30), (parts, start) => {
        let at = BigInt(start)
        const batches: Buffer[] = []
        for (const { hole, recordsCount, gone, control } of parts) {
          at += BigInt(hole)
          // An emptied batch keeps only its header and its offsets.
          const lastOffsetDelta = recordsCount === 0 ? gone : recordsCount - 1
          batches.push(control ? commit(7n, at) : data(at, recordsCount, { lastOffsetDelta }))
          at += control ? 1n : BigInt(lastOffsetDelta) + 1n
        }
        const { copied, skipped, nextFetchOffset, refusal } = admit(batches, BigInt(start))
        expect(refusal).toBeNull()
        let reached = skipped?.nextSourceOffset ?? BigInt(start)
        for (const { batch, nextSourceOffset } of copied) {
          expect(batch.baseOffset).toBeGreaterThanOrEqual(reached)
          expect(nextSourceOffset).toBeGreaterThan(batch.baseOffset)
          reached = nextSourceOffset
        }
        expect(nextFetchOffset).toBe(reached)
        expect(nextFetchOffset).toBe(batches.length === 0 ? BigInt(start) : at)
      }),
    )
  })

  test('any bytes are copied, skipped or refused without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), bytes => {
        const admission = admit([Buffer.from(bytes)])
        expect(admission.nextFetchOffset).toBeGreaterThanOrEqual(100n)
        expect(admission.refusal?.offset ?? admission.nextFetchOffset).toBe(
          admission.nextFetchOffset,
        )
      }),
    )
  })
})

describe('an answer with thousands of small batches', () => {
  const kinds = fc.constantFrom('data' as const, 'marker' as const, 'none' as const)
  const runs = fc.array(fc.tuple(kinds, fc.integer({ min: 1, max: 900 })), { maxLength: 6 })

  test('thousands of small batches become few, with every record and every offset', () => {
    fc.assert(
      fc.property(runs, drawn => {
        let next = 100n
        const sent: Buffer[] = []
        const expected: bigint[] = []
        for (const [kind, count] of drawn) {
          for (let each = 0; each < count; each += 1, next += 1n) {
            if (kind === 'data') sent.push(batchOf([testRecord(next)]))
            if (kind === 'marker') sent.push(commit(7n, next))
            if (kind === 'data') expected.push(next)
          }
        }
        const { copied, skipped, nextFetchOffset, refusal } = admit(sent)
        const offsets = copied.flatMap(({ batch }) =>
          readSourceRecords(batch).map(record => record.offset),
        )
        expect(offsets).toEqual(expected)
        const read = sent.at(-1)
        expect(nextFetchOffset).toBe(read === undefined ? 100n : read.readBigInt64BE(0) + 1n)
        const last = copied.at(-1) ?? skipped
        if (last !== null) expect(last.nextSourceOffset).toBe(nextFetchOffset)
        expect(refusal).toBeNull()
        const neighbours = drawn.filter(([kind]) => kind === 'data').length
        expect(copied.length).toBeLessThanOrEqual(neighbours + sent.length / 100)
      }),
      { numRuns: 60 },
    )
  })

  test('small batches are copied up to a damaged one', () => {
    const sent = testRecords(100n, 2_000).map(each => batchOf([each]))
    const [first, second] = [sent.slice(0, 1_500), sent.slice(1_500)]
    second[0]?.writeInt8(9, 16)
    const { copied, nextFetchOffset, refusal } = admit([...first, ...second])
    expect(copied.at(-1)?.nextSourceOffset).toBe(nextFetchOffset)
    expect(refusal).toMatchObject({ offset: nextFetchOffset })
    expect(nextFetchOffset).toBeGreaterThan(100n)
    expect(nextFetchOffset).toBeLessThanOrEqual(1_600n)
  })
})
