import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AssertionError } from '../../../../lib/core/assert.ts'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import {
  createPendingQueue,
  type PendingBatch,
  type PendingQueue,
} from '../../../../lib/run/partition/pending-queue.ts'
import { buildBatch, viewOf } from '../../kafka/batches.ts'

const view = viewOf(buildBatch())

function pendingBatch(size: number): PendingBatch {
  return { batch: view, nextSourceOffset: sourceOffset(1n), epoch: null, bytes: Buffer.alloc(size) }
}

/** The same queue as a plain array, which marks the batches that are in flight or were sent. */
type Model = { batches: { readonly batch: PendingBatch; inFlight: boolean; wasSent: boolean }[] }

function same(model: Model, queue: PendingQueue): void {
  const { batches } = model
  expect(queue.length).toBe(batches.length)
  expect(queue.inFlight).toBe(batches.filter(each => each.inFlight).length)
  expect(queue.bytes).toBe(batches.reduce((sum, each) => sum + each.batch.bytes.length, 0))
  const unsent = batches.filter(each => !each.inFlight)
  expect(queue.unsentBytes).toBe(unsent.reduce((sum, each) => sum + each.batch.bytes.length, 0))
  expect(queue.hasUnsent()).toBe(batches.some(each => !each.inFlight))
  expect(queue.first()).toBe(batches[0]?.batch)
  expect(queue.last()).toBe(batches.at(-1)?.batch)
  expect(queue.peekUnsent()).toBe(batches.find(each => !each.inFlight)?.batch)
}

async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  // A WeakRef keeps its target alive until the current job ends.
  await new Promise(resolve => setImmediate(resolve))
  runInNewContext('gc')()
}

type Step = fc.Command<Model, PendingQueue>

function step(
  name: string,
  may: (model: Model) => boolean,
  run: (model: Model, queue: PendingQueue) => void,
): Step {
  return {
    check: may,
    run: (model, queue) => {
      run(model, queue)
      same(model, queue)
    },
    toString: () => name,
  }
}

const steps: fc.Arbitrary<Step>[] = [
  fc.nat(50).map(size =>
    step(
      `push ${size}`,
      () => true,
      (model, queue) => {
        const batch = pendingBatch(size)
        queue.push(batch)
        model.batches.push({ batch, inFlight: false, wasSent: false })
      },
    ),
  ),
  fc.constant(
    step(
      'takeUnsent',
      model => model.batches.some(each => !each.inFlight),
      (model, queue) => {
        const next = model.batches.find(each => !each.inFlight)
        expect(queue.takeUnsent()).toBe(next?.batch)
        if (next !== undefined) Object.assign(next, { inFlight: true, wasSent: true })
      },
    ),
  ),
  fc.constant(
    step(
      'shift',
      model => model.batches[0]?.inFlight === true,
      (model, queue) => {
        expect(queue.shift()).toBe(model.batches.shift()?.batch)
      },
    ),
  ),
  fc.constant(
    step(
      'rewind',
      () => true,
      (model, queue) => {
        queue.rewind()
        for (const each of model.batches) each.inFlight = false
      },
    ),
  ),
  fc.constant(
    step(
      'dropUnsent',
      () => true,
      (model, queue) => {
        queue.dropUnsent()
        model.batches = model.batches.filter(each => each.wasSent)
      },
    ),
  ),
  fc.constant(
    step(
      'clear',
      () => true,
      (model, queue) => {
        queue.clear()
        model.batches = []
      },
    ),
  ),
]

describe('the queue of fetched batches', () => {
  test('the queue behaves like a plain array under any operations', () => {
    fc.assert(
      fc.property(fc.commands(steps, { maxCommands: 200, size: 'max' }), commands => {
        fc.modelRun(() => ({ model: { batches: [] }, real: createPendingQueue() }), commands)
      }),
      { numRuns: 200 },
    )
  })

  test('the queue keeps its order and counts over thousands of batches, while it releases memory', () => {
    const queue = createPendingQueue()
    const batches = Array.from({ length: 5_000 }, (_, size) => pendingBatch(size % 7))
    for (const batch of batches) queue.push(batch)
    const shifted: PendingBatch[] = []
    for (let each = 0; each < 4_000; each += 1) {
      queue.takeUnsent()
      shifted.push(queue.shift())
    }
    expect(shifted).toEqual(batches.slice(0, 4_000))
    same(
      { batches: batches.slice(4_000).map(batch => ({ batch, inFlight: false, wasSent: false })) },
      queue,
    )
  })

  test('the queue does not keep more acknowledged batches in memory than unacknowledged ones', async () => {
    const queue = createPendingQueue()
    const acknowledged: WeakRef<PendingBatch>[] = []
    for (let each = 0; each < 10; each += 1) queue.push(pendingBatch(1))
    for (let each = 0; each < 500; each += 1) {
      queue.push(pendingBatch(1))
      queue.takeUnsent()
      acknowledged.push(new WeakRef(queue.shift()))
    }
    await collectGarbage()
    expect(acknowledged.filter(each => each.deref() !== undefined).length).toBeLessThan(15)
    expect(queue.length).toBe(10)
  })

  test('the queue asserts that an acknowledged batch was in flight, and that a batch to send exists', () => {
    const queue = createPendingQueue()
    expect(() => queue.takeUnsent()).toThrow(AssertionError)
    queue.push(pendingBatch(1))
    expect(() => queue.shift()).toThrow(AssertionError)
  })
})
