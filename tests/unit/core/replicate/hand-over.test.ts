import { expect, test } from 'vitest'
import {
  handOverLeadMs,
  handOverPollMs,
  handOverWaitMsMax,
} from '../../../../lib/core/config/defaults.ts'
import {
  handOverAtMs,
  handOverWaitMs,
  planHandOver,
} from '../../../../lib/core/replicate/hand-over.ts'

const partition = (number: number, hasStopped: boolean) => {
  return { topic: 'orders', partition: number, topicIsKnown: true, hasStopped }
}

test('a successor gets what is still followed, and whose leases to wait for', () => {
  const partitions = [partition(0, true), partition(1, false), partition(2, false)]
  expect(planHandOver({ owner: 'one', deadlineMs: 9_000, partitions })).toEqual({
    partitions: [
      { topic: 'orders', partition: 1, topicIsKnown: true },
      { topic: 'orders', partition: 2, topicIsKnown: true },
    ],
    predecessor: { owner: 'one', releasesAtMs: 9_000 },
  })
})

test('a run whose partitions have all stopped has no successor', () => {
  const partitions = [partition(0, true)]
  expect(planHandOver({ owner: 'one', deadlineMs: 9_000, partitions })).toBeNull()
})

test('a successor is invoked one lead before the deadline, in a short run in its last quarter', () => {
  expect(handOverAtMs({ nowMs: 0, deadlineMs: 890_000 })).toBe(890_000 - handOverLeadMs)
  expect(handOverAtMs({ nowMs: 0, deadlineMs: 4_000 })).toBe(3_000)
  expect(handOverAtMs({ nowMs: 5_000, deadlineMs: 4_000 })).toBe(4_000)
})

test('a successor sleeps until the release, then asks in short intervals, and not for ever', () => {
  const predecessor = { owner: 'one', releasesAtMs: 4_000 }
  const wait = (nowMs: number) => handOverWaitMs({ predecessor, startedAtMs: 0, nowMs })
  expect(wait(0)).toBe(4_000)
  expect(wait(4_000)).toBe(handOverPollMs)
  expect(wait(handOverWaitMsMax - 1)).toBe(handOverPollMs)
  expect(wait(handOverWaitMsMax)).toBeNull()
})

test('a predecessor whose clock is ahead delays its successor by no more than the lead', () => {
  const predecessor = { owner: 'one', releasesAtMs: 3_600_000 }
  expect(handOverWaitMs({ predecessor, startedAtMs: 0, nowMs: 0 })).toBe(handOverLeadMs)
})
