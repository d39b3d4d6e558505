import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../../../lib/kafka/decode-error.ts'
import { createAbortedFilter } from '../../../../lib/kafka/transactions/aborted-transactions.ts'
import { buildBatch, buildMarker, CONTROL, TRANSACTIONAL, viewOf } from '../batches.ts'

const data = (producerId: bigint, baseOffset: bigint, recordsCount = 1) =>
  viewOf(buildBatch({ producerId, baseOffset, recordsCount, attributes: TRANSACTIONAL }))
const plain = (producerId: bigint, baseOffset: bigint) =>
  viewOf(buildBatch({ producerId, baseOffset }))
const abort = (producerId: bigint, baseOffset: bigint) =>
  viewOf(buildMarker({ producerId, baseOffset, type: 0 }))
const commit = (producerId: bigint, baseOffset: bigint) =>
  viewOf(buildMarker({ producerId, baseOffset, type: 1 }))

type Aborted = { producerId: bigint; firstOffset: bigint }[]

function acceptedOffsets(aborted: Aborted, batches: ReturnType<typeof data>[]): bigint[] {
  const accepts = createAbortedFilter(aborted)
  return batches.filter(batch => accepts(batch)).map(batch => batch.baseOffset)
}

describe('createAbortedFilter', () => {
  test('everything but control batches is accepted when no transaction was aborted', () => {
    const batches = [plain(-1n, 0n), data(1n, 1n), commit(1n, 2n), plain(2n, 3n)]
    expect(acceptedOffsets([], batches)).toEqual([0n, 1n, 3n])
  })

  test('the data of an aborted transaction is dropped, and committed data around it is accepted', () => {
    const batches = [data(1n, 0n), data(2n, 1n), data(1n, 2n), abort(1n, 3n), commit(2n, 4n)]
    expect(acceptedOffsets([{ producerId: 1n, firstOffset: 0n }], batches)).toEqual([1n])
  })

  test('the next transaction of a producer that aborted is accepted', () => {
    const batches = [data(1n, 0n), abort(1n, 1n), data(1n, 2n), commit(1n, 3n)]
    expect(acceptedOffsets([{ producerId: 1n, firstOffset: 0n }], batches)).toEqual([2n])
  })

  test('two aborted transactions are dropped, and the committed one of the same producer between them is accepted', () => {
    const batches = [
      ...[data(1n, 0n), abort(1n, 1n)],
      ...[data(1n, 2n), commit(1n, 3n)],
      ...[data(1n, 4n), abort(1n, 5n), data(1n, 6n)],
    ]
    const aborted = [
      { producerId: 1n, firstOffset: 4n },
      { producerId: 1n, firstOffset: 0n },
    ]
    expect(acceptedOffsets(aborted, batches)).toEqual([2n, 6n])
  })

  test('a transaction that began before the fetched range is dropped from the first batch on', () => {
    const batches = [data(1n, 100n), abort(1n, 101n), data(1n, 102n)]
    expect(acceptedOffsets([{ producerId: 1n, firstOffset: 3n }], batches)).toEqual([102n])
  })

  test('a transaction counts from the batch whose last offset reaches its first', () => {
    const batches = [data(1n, 0n, 5), data(1n, 5n, 5)]
    expect(acceptedOffsets([{ producerId: 1n, firstOffset: 5n }], batches)).toEqual([0n])
    expect(acceptedOffsets([{ producerId: 1n, firstOffset: 4n }], batches)).toEqual([])
  })

  test('a batch outside of transactions is accepted, also from a producer with an aborted transaction', () => {
    const batches = [data(1n, 0n), plain(1n, 1n), plain(-1n, 2n), abort(1n, 3n)]
    expect(acceptedOffsets([{ producerId: 1n, firstOffset: 0n }], batches)).toEqual([1n, 2n])
  })

  test('only an abort marker ends an aborted transaction, and only its own producer', () => {
    const batches = [data(1n, 0n), abort(2n, 1n), commit(1n, 2n), data(1n, 3n)]
    expect(acceptedOffsets([{ producerId: 1n, firstOffset: 0n }], batches)).toEqual([])
  })

  test('a control batch without a producer (a leader change) is dropped unread', () => {
    const control = viewOf(buildBatch({ attributes: CONTROL }))
    expect(createAbortedFilter([])(control)).toBe(false)
  })

  test('a marker that cannot be read is refused, not passed over', () => {
    const attributes = CONTROL | TRANSACTIONAL
    const damaged = viewOf(buildBatch({ attributes, producerId: 1n, payload: Buffer.from('20') }))
    expect(() => createAbortedFilter([])(damaged)).toThrow(DecodeError)
  })

  // A log written by the rules, then compared with what is known of every transaction beforehand.
  test('the filter accepts exactly the committed data of any log, fetched from any offset', () => {
    const steps = fc.array(
      fc.record({ producer: fc.bigInt(1n, 3n), what: fc.constantFrom('data', 'abort', 'commit') }),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(steps, fc.nat(40), (history, from) => {
        const { batches, committed, aborted } = writeLog(history)
        const start = BigInt(from)
        // What a broker answers: the transactions that end at or behind the start of the fetch.
        const listed = aborted.filter(each => each.lastOffset >= start)
        const fetched = batches.filter(batch => batch.baseOffset >= start)
        const expected = committed.filter(offset => offset >= start)
        expect(acceptedOffsets(listed, fetched)).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })
})

function writeLog(history: { producer: bigint; what: string }[]) {
  const open = new Map<bigint, bigint[]>()
  const batches: ReturnType<typeof data>[] = []
  const committed: bigint[] = []
  const aborted: { producerId: bigint; firstOffset: bigint; lastOffset: bigint }[] = []
  const end = (producer: bigint, outcome: string) => {
    const offset = BigInt(batches.length)
    const offsets = open.get(producer) ?? []
    const [firstOffset] = offsets
    batches.push(outcome === 'abort' ? abort(producer, offset) : commit(producer, offset))
    if (outcome === 'commit') committed.push(...offsets)
    else if (firstOffset !== undefined) {
      aborted.push({ producerId: producer, firstOffset, lastOffset: offset })
    }
    open.delete(producer)
  }
  for (const { producer, what } of history) {
    if (what === 'data') {
      const offset = BigInt(batches.length)
      open.set(producer, [...(open.get(producer) ?? []), offset])
      batches.push(data(producer, offset))
    } else end(producer, what)
  }
  // A read-committed fetch ends at the last stable offset: every transaction in it is decided.
  for (const producer of [...open.keys()]) end(producer, 'commit')
  committed.sort((left, right) => (left < right ? -1 : 1))
  return { batches, committed, aborted }
}
