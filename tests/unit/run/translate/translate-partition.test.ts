// Offsets are translated as a brute-force reading of both logs translates them: plain,
// transactional, compacted, truncated, coalesced and changed logs, by numbers that no code chose.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { isControlBatch } from '../../../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../../../lib/kafka/repack.ts'
import { openTranslation } from '../../../../lib/run/translate/flow-translation.ts'
import { writesAppendTime } from '../../../support/doubles/changing-broker.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { batchWith } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

type Step =
  | {
      readonly kind: 'write'
      readonly records: number
      readonly fate: 'plain' | 'commit' | 'abort'
    }
  | { readonly kind: 'run' }
  | { readonly kind: 'foreign'; readonly records: number }
  | { readonly kind: 'crash' }

/** So that logs of some dozen records have several anchors. */
const anchorLimits = { spacingOffsets: 6, spacingBytes: 1_000_000, flushMs: 0 }

/** A run that copies, and dies before it can store how far. */
async function crash(world: World): Promise<void> {
  const deps = watchStores(world, async () => {
    throw new Error('dead')
  })
  await world.run('orders', { deps: { ...deps, anchorLimits } })
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
}

/** A world after some steps, with what its runs have stored. */
async function live(steps: readonly Step[], world: World): Promise<void> {
  world.createTopic('orders')
  const source = world.sourceLog('orders')
  let written = 0
  let producers = 500n
  const run = () => world.run('orders', { deps: { anchorLimits } })
  await run()
  for (const step of steps) {
    if (step.kind === 'run') await run()
    else if (step.kind === 'crash') await crash(world)
    else if (step.kind === 'foreign') {
      for (let each = 0; each < step.records; each += 1) {
        written += 1
        const value = `foreign ${written}`
        world.targetLog('orders').write(batchWith([{ key: 'f', value, at: BigInt(written) }]))
      }
    } else if (step.kind === 'write') {
      const records = Array.from({ length: step.records }, () => {
        written += 1
        return { key: `k${written % 5}`, value: `v${written}`, at: BigInt(written) }
      })
      const isPlain = step.fate === 'plain'
      producers += 1n
      const batch = batchWith(records)
      const producer = isPlain ? {} : { producerId: producers, producerEpoch: 0 }
      source.write({ ...batch, attributes: isPlain ? 0 : TRANSACTIONAL, ...producer })
      if (!isPlain) source.endTransaction(producers, step.fate === 'commit' ? 'commit' : 'abort')
    }
  }
  await run()
}

/** Each record of a log that a read-committed consumer sees: its value, and its offset. */
function valuesOf(log: FakeLog, aborted: ReadonlySet<string> = new Set()): Map<string, bigint> {
  const found = new Map<string, bigint>()
  for (const batch of log.batches) {
    if (isControlBatch(batch) || batch.recordsCount === 0) continue
    for (const record of readSourceRecords(batch)) {
      if (record.offset < log.logStart) continue
      const text = record.body.toString('latin1')
      if (!aborted.has(text)) found.set(text, record.offset)
    }
  }
  return found
}

/** Every offset up to the position, there and back. */
async function translateAll(world: World) {
  const at = { topic: 'orders', partition: 0 }
  const translation = await openTranslation(world, world.flow)
  const end = await translation.translate(at, [])
  if (end.kind === 'not-translated') throw new Error(end.detail)
  const { nextSourceOffset, nextTargetOffset } = end.position
  const there = await translation.translate(at, upTo(nextSourceOffset).map(sourceOffset))
  const back = await translation.translateBack(at, upTo(nextTargetOffset).map(targetOffset))
  if (there.kind !== 'translated' || back.kind !== 'translated') throw new Error('no answer')
  return { there: there.offsets, back: back.offsets }
}

function upTo(end: bigint): bigint[] {
  return Array.from({ length: Number(end) + 1 }, (_, index) => BigInt(index))
}

type Answers = Awaited<ReturnType<typeof translateAll>>

function kindsOf({ there, back }: Answers): string[] {
  return [...new Set([...there, ...back].map(each => each.kind))]
}

/** What was copied: source and target offset of each record, whatever is left of it now. */
type Past = ReadonlyMap<string, { readonly source: bigint; readonly target: bigint }>

/** No answer skips a record that is still there, or has more of them read again than it says. */
function check(world: World, { there, back }: Answers, past: Past) {
  const copies = valuesOf(world.targetLog('orders'))
  const sources = valuesOf(world.sourceLog('orders'))
  const known = [...past].map(([text, at]) => ({ ...at, text }))
  const onTarget = known.filter(({ text }) => copies.has(text))
  const onSource = known.filter(({ text }) => sources.has(text))
  for (const { sourceOffset: asked, targetOffset: place, rereadRecordsMax } of there) {
    const skipped = onTarget.filter(each => each.source >= asked && each.target < place)
    const again = onTarget.filter(each => each.source < asked && each.target >= place)
    expect({ asked, place, skipped }).toEqual({ asked, place, skipped: [] })
    expect(BigInt(again.length), `${asked} -> ${place}`).toBeLessThanOrEqual(rereadRecordsMax)
  }
  for (const { targetOffset: asked, sourceOffset: place, rereadRecordsMax } of back) {
    const skipped = onSource.filter(each => each.target >= asked && each.source < place)
    const again = onSource.filter(each => each.target < asked && each.source >= place)
    expect({ asked, place, skipped }).toEqual({ asked, place, skipped: [] })
    expect(BigInt(again.length), `${asked} <- ${place}`).toBeLessThanOrEqual(rereadRecordsMax)
  }
}

const write = fc.record({
  kind: fc.constant('write' as const),
  records: fc.integer({ min: 1, max: 6 }),
  fate: fc.constantFrom('plain' as const, 'commit' as const, 'abort' as const),
})
const run = fc.constant({ kind: 'run' as const })
const foreign = fc.record({
  kind: fc.constant('foreign' as const),
  records: fc.integer({ min: 1, max: 3 }),
})

const dies = fc.constant({ kind: 'crash' as const })

/** What was copied, before anything was removed. */
function pastOf(world: World): Past {
  const copies = valuesOf(world.targetLog('orders'))
  const past = new Map<string, { readonly source: bigint; readonly target: bigint }>()
  for (const [text, source] of valuesOf(world.sourceLog('orders'))) {
    const target = copies.get(text)
    if (target !== undefined) past.set(text, { source, target })
  }
  return past
}

describe('every offset of a log is translated without a record skipped or read again', () => {
  test('a log of plain, committed and aborted records, whatever a run copied at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(write, run), { maxLength: 25 }), async steps => {
        const world = createWorld()
        await live(steps, world)
        const answers = await translateAll(world)
        expect(kindsOf(answers)).toEqual(['exact'])
        check(world, answers, pastOf(world))
      }),
      { numRuns: 80 },
    )
  })

  test('a log whose owners die between their records and their checkpoints', async () => {
    const steps = fc.array(fc.oneof(write, write, run, dies), { maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(steps, async each => {
        const world = createWorld()
        await live(each, world)
        const answers = await translateAll(world)
        expect(kindsOf(answers)).toEqual(['exact'])
        check(world, answers, pastOf(world))
      }),
      { numRuns: 60 },
    )
  })

  test('a log to whose copy others write between the runs, and whose owners die', async () => {
    const steps = fc.array(fc.oneof(write, write, run, foreign, dies), { maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(steps, async each => {
        const world = createWorld()
        await live(each, world)
        check(world, await translateAll(world), pastOf(world))
      }),
      { numRuns: 80 },
    )
  })

  test('a log whose sides are compacted and truncated on their own', async () => {
    const kept = fc.array(fc.boolean(), { minLength: 150, maxLength: 150 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(write, write, run, dies), { maxLength: 25 }),
        fc.record({ source: kept, target: kept, sourceStart: fc.nat(30), targetStart: fc.nat(30) }),
        async (steps, lost) => {
          const world = createWorld()
          await live(steps, world)
          const past = pastOf(world)
          world.sourceLog('orders').compact(offset => lost.source[Number(offset)] ?? true)
          world.targetLog('orders').compact(offset => lost.target[Number(offset)] ?? true)
          cut(world.sourceLog('orders'), lost.sourceStart)
          cut(world.targetLog('orders'), lost.targetStart)
          check(world, await translateAll(world), past)
        },
      ),
      { numRuns: 120 },
    )
  })

  test('a log whose copy carries the time of the standby in every record', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(write, run), { maxLength: 20 }), async steps => {
        const world = createWorld({ targetChange: writesAppendTime })
        await live(steps, world)
        check(world, await translateAll(world), pastOf(world))
      }),
      { numRuns: 30 },
    )
  })

  test('a log whose source does not answer any more, with a bound where the source had holes', async () => {
    const steps = fc.array(fc.oneof(write, run, foreign, dies), { maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), async (each, isSeen) => {
        const world = createWorld()
        await live(each, world)
        const past = pastOf(world)
        const lose = () => {
          throw connectionLost('primary')
        }
        // It may still answer when it is observed, and no more when it is read.
        if (!isSeen) world.source.control('describeTopics', lose)
        world.source.control('fetch', lose)
        check(world, await translateAll(world), past)
      }),
      { numRuns: 60 },
    )
  })
})

function cut(log: FakeLog, start: number): void {
  const at = BigInt(start)
  if (at > log.logStart && at <= log.logEnd) log.deleteBefore(at)
}
