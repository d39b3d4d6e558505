// What `plan` does first when it is told that a worker ended, on the stores in memory.

import { beforeEach, expect, test } from 'vitest'
import { crashNoticeMinMs } from '../../../../lib/core/config/defaults.ts'
import type { EndNotice } from '../../../../lib/core/plan/ended-worker.ts'
import type { Clock } from '../../../../lib/io/clock.ts'
import type { WorkerStore } from '../../../../lib/io/table/stores.ts'
import { endWorker } from '../../../../lib/run/plan/ended-worker.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'

const flow = 'orders'
const worker = 'w-1'
const run = 'run-1'
const beganAtMs = 1_000_000
const leaseMs = 6_000

let workers: WorkerStore
let nowMs = beganAtMs

beforeEach(async () => {
  workers = createMemoryStores().workers
  nowMs = beganAtMs
  const times = { nowMs, untilMs: nowMs + leaseMs }
  await workers.reserve({ flow, roster: 0, ids: [worker], ...times })
})

test('a worker that failed after a while is declared ended and replaced at once, with a line that says why', async () => {
  await live(crashNoticeMinMs)

  const outcome = await told(failed('request-1'))

  expect(outcome).toEqual({
    kind: 'plan',
    text: 'Worker w-1 of flow orders failed (Runtime.ExitError) after 30 s: what it held is handed out now',
  })
  expect(await renew()).toEqual({ kind: 'ended' })
})

test('a worker that failed soon after its start is declared ended, and its partitions wait for the next tick', async () => {
  await live(crashNoticeMinMs - 1)

  const outcome = await told(failed('request-1'))

  expect(outcome).toMatchObject({ kind: 'leave', text: expect.stringContaining('the next tick') })
  expect(await renew()).toEqual({ kind: 'ended' })
})

test('a worker that never began is declared ended, and no run can become it any more', async () => {
  const outcome = await told(failed('request-9', worker))

  expect(outcome.kind).toBe('leave')
  expect(await begin()).toBe('refused')
})

test('a notice that comes twice asks for the same again, and does no harm', async () => {
  await live(crashNoticeMinMs)
  const first = await told(failed('request-1'))

  expect(await told(failed('request-1'))).toEqual(first)
})

test('a worker that ended in order is not known any more, and nothing is done', async () => {
  await live(crashNoticeMinMs)
  await workers.end({ flow, worker, run })

  const outcome = await told(failed('request-1', worker))

  expect(outcome).toMatchObject({ kind: 'unknown', text: expect.stringContaining('in order') })
  expect((await workers.list(flow)).workers).toEqual([])
})

test("the failure of a second invocation of a worker's event ends no worker", async () => {
  await live(crashNoticeMinMs)

  expect(await told(failed('request-2', worker))).toMatchObject({ kind: 'unknown' })
  expect(await renew()).toMatchObject({ kind: 'renewed' })
})

test("a peer's word ends no worker whose lease is live", async () => {
  await live(crashNoticeMinMs)

  const outcome = await told({ kind: 'worker-ended', worker })

  expect(outcome).toMatchObject({ kind: 'leave', text: expect.stringContaining('is live') })
  expect(await renew()).toMatchObject({ kind: 'renewed' })
})

test('a worker that a peer declared ended is replaced at once', async () => {
  await live(crashNoticeMinMs)
  nowMs += leaseMs
  await workers.declareEnded({ flow, worker, nowMs, when: 'if-expired' })

  expect(await told({ kind: 'worker-ended', worker })).toMatchObject({ kind: 'plan' })
})

/** The reserved row is claimed, and renewed for so long. */
async function live(forMs: number): Promise<void> {
  expect(await begin()).toBe('begun')
  nowMs += forMs
  expect(await renew()).toMatchObject({ kind: 'renewed' })
}

function begin() {
  const claim = { run, role: 'worker', invocation: 'request-1', isReserved: true } as const
  return workers.begin({ flow, worker, ...claim, nowMs, untilMs: nowMs + leaseMs })
}

function renew() {
  const times = { nowMs, untilMs: nowMs + leaseMs }
  return workers.renew({ flow, worker, run, renewal: nowMs, ...times, partitions: 3, taken: [] })
}

function failed(requestId: string, named: string | null = null): EndNotice {
  return { kind: 'worker-failed', requestId, worker: named, detail: 'Runtime.ExitError' }
}

function told(notice: EndNotice) {
  const clock = { nowMs: () => nowMs } as Clock
  return endWorker({ workers, clock }, { flow, notice })
}
