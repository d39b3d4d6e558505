import { describe, expect, test } from 'vitest'
import {
  bytesToAskFor,
  type FetchShare,
  initialShare,
  longestWaitingFirst,
  shareAfter,
} from '../../../../lib/core/replicate/fetch-share.ts'

const KIB = 1024
const budgets = { fetchBytesMax: 4096 * KIB, partitionFetchBytesMax: 2048 * KIB }
const behind = initialShare(true)
const idle = initialShare(false)

function ask(one: FetchShare, others: readonly FetchShare[]): number {
  return bytesToAskFor([one, ...others], budgets)(one)
}

describe('what is asked for', () => {
  test('every partition that is behind asks for an equal share of the response', () => {
    expect(ask(behind, [behind, behind, behind, idle, idle])).toBe(1024 * KIB)
  })

  test('a share never exceeds the limit of a partition', () => {
    expect(ask(behind, [])).toBe(2048 * KIB)
    expect(ask({ ...behind, shareMin: 4096 * KIB }, [behind, behind, behind])).toBe(2048 * KIB)
  })

  test('a partition that has caught up asks for the limit of a partition', () => {
    expect(ask(idle, [behind, behind, behind, behind])).toBe(2048 * KIB)
    expect(ask(idle, [idle])).toBe(2048 * KIB)
  })
})

const answered = {
  turn: 7,
  isBehind: true,
  bytes: 100 * KIB,
  lastBatchBytes: 16 * KIB,
}

describe('after an answer', () => {
  test('a partition asks for eight batches such as its last, however many others are behind', () => {
    const fed = shareAfter(behind, answered)
    expect(ask(fed, Array(200).fill(behind))).toBe(128 * KIB)
  })

  test('batches that are not copied do not change the share', () => {
    const fed = shareAfter(behind, answered)
    const skipped = shareAfter(fed, { ...answered, turn: 8, lastBatchBytes: null })
    expect(skipped).toEqual({ ...fed, lastFetchTurn: 8 })
  })

  test('a partition without records keeps its share and its turn', () => {
    const fed = shareAfter(behind, answered)
    const nothing = { ...answered, turn: 8, bytes: 0, lastBatchBytes: null }
    expect(shareAfter(fed, nothing)).toEqual(fed)
    expect(shareAfter(fed, { ...nothing, isBehind: false })).toEqual({ ...fed, isBehind: false })
  })
})

test('the partition that waited longest comes first, and equal waits keep their order', () => {
  const fed = (partition: number, lastFetchTurn: number) => ({
    partition,
    fetchShare: { ...behind, lastFetchTurn },
  })
  const all = [fed(0, 3), fed(1, 1), fed(2, 0), fed(3, 1), fed(4, 2)]
  expect(longestWaitingFirst(all).map(each => each.partition)).toEqual([2, 1, 3, 4, 0])
})
