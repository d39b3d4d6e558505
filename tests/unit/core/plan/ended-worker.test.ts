// Which worker a notice is about, and whether it is replaced at once.

import { describe, expect, test } from 'vitest'
import { crashNoticeMinMs } from '../../../../lib/core/config/defaults.ts'
import {
  type EndNotice,
  findEnded,
  isReplacedAtOnce,
} from '../../../../lib/core/plan/ended-worker.ts'
import type { Worker } from '../../../../lib/core/row/worker-row.ts'

const running: Worker = {
  flow: 'orders',
  worker: 'w-1',
  role: 'worker',
  run: 'run-1',
  invocation: 'request-1',
  beganAtMs: 1_000_000,
  renewedAtMs: 1_000_000 + crashNoticeMinMs,
  aliveUntilMs: 1_000_000 + crashNoticeMinMs + 6_000,
  partitions: 3,
  assigned: [],
  successor: null,
  endedAtMs: null,
}
const reserved: Worker = {
  ...running,
  worker: 'w-2',
  run: null,
  invocation: null,
  renewedAtMs: running.beganAtMs,
  partitions: 0,
}
/** As on the local stage, where nobody knows the request id of an invocation. */
const awaited: Worker = { ...running, worker: 'w-3', invocation: null }
const workers = [running, reserved, awaited]

describe('a failed invocation is that of the worker', () => {
  test.each([
    ['which it claimed the row of, whatever its event names', 'request-1', 'w-9', running],
    ['which it was to become and never became', 'request-9', 'w-2', reserved],
    ['that its event names, where rows have no request ids', 'request-9', 'w-3', awaited],
  ])('%s', (_which, requestId, worker, expected) => {
    expect(findEnded(workers, failed(requestId, worker))).toBe(expected)
  })
})

describe('a failed invocation is that of no worker', () => {
  test.each([
    ['when the worker ended in order and deleted its row', 'request-8', 'w-8'],
    ['when another invocation of the same event became the worker', 'request-2', 'w-1'],
    ['when its event names none and no row has its request id', 'request-8', null],
  ])('%s', (_when, requestId, worker) => {
    expect(findEnded(workers, failed(requestId, worker))).toBeNull()
  })
})

test("a peer's word is about the worker that it names", () => {
  expect(findEnded(workers, { kind: 'worker-ended', worker: 'w-1' })).toBe(running)
  expect(findEnded(workers, { kind: 'worker-ended', worker: 'w-8' })).toBeNull()
})

test('a worker that had lived for a while is replaced at once, and one that had just started is not', () => {
  expect(isReplacedAtOnce(running)).toBe(true)
  expect(isReplacedAtOnce({ ...running, renewedAtMs: running.renewedAtMs - 1 })).toBe(false)
})

test('a worker that never began is left to the schedule, however long it was reserved', () => {
  const old = { ...reserved, renewedAtMs: reserved.beganAtMs + 10 * crashNoticeMinMs }
  expect(isReplacedAtOnce(old)).toBe(false)
})

function failed(requestId: string, worker: string | null): EndNotice {
  return { kind: 'worker-failed', requestId, worker, detail: 'Runtime.ExitError' }
}
