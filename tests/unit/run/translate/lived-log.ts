// Logs that were written, copied, lost and shifted by steps that fast-check chooses, and the check
// that an answer for an offset skips no record and has none read again that it does not announce.

import fc from 'fast-check'
import { expect } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { isControlBatch } from '../../../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../../../lib/kafka/repack.ts'
import { openTranslation } from '../../../../lib/run/translate/flow-translation.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { batchWith } from '../../../support/worlds/real-records.ts'
import type { World } from '../../../support/worlds/replicate-world.ts'
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
  /** Offsets of the source that never held a record. */
  | { readonly kind: 'hole'; readonly offsets: number }
  /** The source topic is deleted, and created again. */
  | { readonly kind: 'reset' }
  /** The source's last records are lost in an unclean election. */
  | { readonly kind: 'election'; readonly lost: number }

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
export async function live(steps: readonly Step[], world: World): Promise<void> {
  world.createTopic('orders')
  let written = 0
  let producers = 500n
  const run = () => world.run('orders', { deps: { anchorLimits } })
  await run()
  for (const step of steps) {
    const source = world.sourceLog('orders')
    if (step.kind === 'hole') source.leaveHole(BigInt(step.offsets))
    else if (step.kind === 'reset') world.source.createTopic('orders')
    else if (step.kind === 'election') {
      const end = source.logEnd - BigInt(step.lost)
      source.elect(end > 0n ? end : 0n)
    } else if (step.kind === 'run') await run()
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
export async function translateAll(world: World) {
  const at = { topic: 'orders', partition: 0 }
  const translation = await openTranslation(world, world.flow)
  const end = await translation.translate(at, [])
  if (end.kind === 'not-translated') throw new Error(end.detail)
  const { nextSourceOffset, nextTargetOffset } = end.position
  const asked = {
    there: offsetsAround(world.sourceLog('orders'), nextSourceOffset),
    back: offsetsAround(world.targetLog('orders'), nextTargetOffset),
  }
  const there = await translation.translate(at, asked.there.map(sourceOffset))
  const back = await translation.translateBack(at, asked.back.map(targetOffset))
  if (there.kind !== 'translated' || back.kind !== 'translated') throw new Error('no answer')
  return { there: there.offsets, back: back.offsets }
}

/** Every offset up to the end; of a long log those around its records and its end. */
function offsetsAround(log: FakeLog, end: bigint): bigint[] {
  if (end < 2_000n) return Array.from({ length: Number(end) + 1 }, (_, index) => BigInt(index))
  const places = [0n, log.logStart, end, ...valuesOf(log).values()]
  const around = places.flatMap(each => [-2n, -1n, 0n, 1n, 2n].map(by => each + by))
  return [...new Set(around)].filter(each => each >= 0n && each <= end).sort(byValue)
}

const byValue = (left: bigint, right: bigint) => (left < right ? -1 : left > right ? 1 : 0)

type Answers = Awaited<ReturnType<typeof translateAll>>

export function kindsOf({ there, back }: Answers): string[] {
  return [...new Set([...there, ...back].map(each => each.kind))]
}

/** What was copied: source and target offset of each record, whatever is left of it now. */
export type Past = ReadonlyMap<string, { readonly source: bigint; readonly target: bigint }>

/** No answer skips a record that is still there, or has more of them read again than it says. */
export function check(world: World, { there, back }: Answers, past: Past) {
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

export const write = fc.record({
  kind: fc.constant('write' as const),
  records: fc.integer({ min: 1, max: 6 }),
  fate: fc.constantFrom('plain' as const, 'commit' as const, 'abort' as const),
})
export const run = fc.constant({ kind: 'run' as const })
export const foreign = fc.record({
  kind: fc.constant('foreign' as const),
  records: fc.integer({ min: 1, max: 3 }),
})

export const dies = fc.constant({ kind: 'crash' as const })

/** A few offsets, or more than are filled. */
export const hole = fc.record({
  kind: fc.constant('hole' as const),
  offsets: fc.constantFrom(1, 3, 30_000),
})
export const reset = fc.constant({ kind: 'reset' as const })
export const election = fc.record({
  kind: fc.constant('election' as const),
  lost: fc.integer({ min: 1, max: 12 }),
})

/** What was copied, before anything was removed. */
export function pastOf(world: World): Past {
  const copies = valuesOf(world.targetLog('orders'))
  const past = new Map<string, { readonly source: bigint; readonly target: bigint }>()
  for (const [text, source] of valuesOf(world.sourceLog('orders'))) {
    const target = copies.get(text)
    if (target !== undefined) past.set(text, { source, target })
  }
  return past
}

export function cut(log: FakeLog, start: number): void {
  const at = BigInt(start)
  if (at > log.logStart && at <= log.logEnd) log.deleteBefore(at)
}
