// Offsets are translated as a brute-force reading of both logs translates them: plain,
// transactional, compacted, truncated, coalesced and changed logs, by numbers that no code chose.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type SourceOffset, sourceOffset } from '../../../../lib/core/offset.ts'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { type Anchors, withAnchor } from '../../../../lib/core/translate/anchor.ts'
import { isControlBatch } from '../../../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../../../lib/kafka/repack.ts'
import { observeLogs } from '../../../../lib/run/observe/logs.ts'
import {
  type Translated,
  translateOffsets,
} from '../../../../lib/run/translate/translate-partition.ts'
import { writesAppendTime } from '../../../support/doubles/changing-broker.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
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

/** A world after some steps, with the anchors that its runs left. */
async function live(steps: readonly Step[], world: World) {
  world.createTopic('orders')
  const source = world.sourceLog('orders')
  let anchors: Anchors = []
  let copied = 0n
  let written = 0
  let producers = 500n
  const settle = async () => {
    const report = await world.run('orders')
    copied += report.partitions[0]?.recordsReplicated ?? 0n
    const row = await world.checkpoint('orders')
    const position = row === null ? null : positionOf(row.state)
    if (position === null) return
    anchors = withAnchor(anchors, {
      sourceOffset: position.nextSourceOffset,
      targetOffset: position.nextTargetOffset,
      copiedRecords: copied,
      atMs: 0,
      reason: anchors.length === 0 ? 'start' : 'spacing',
    })
  }
  await settle()
  for (const step of steps) {
    if (step.kind === 'run') await settle()
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
  await settle()
  return anchors
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

async function translateAll(world: World, anchors: Anchors): Promise<Translated[]> {
  const at = { topic: 'orders', partition: 0 }
  const points = ['log-start', 'log-end'] as const
  const source = (await observeLogs(world.source, [at], points)).of(at)
  const there = { topic: 'primary.orders', partition: 0 }
  const target = (await observeLogs(world.target, [there], points)).of(there)
  if (source.kind !== 'seen' || target.kind !== 'seen') throw new Error('a log is missing')
  const last = anchors.at(-1)?.sourceOffset ?? sourceOffset(0n)
  const offsets: SourceOffset[] = []
  for (let each = 0n; each <= last; each += 1n) offsets.push(sourceOffset(each))
  const partition = { at, targetTopic: 'primary.orders', source, target, anchors }
  return translateOffsets(world, partition, offsets)
}

/** The first copy that a consumer reads from `place` on, and the copies it must not miss. */
function check(world: World, answers: readonly Translated[], past: ReadonlyMap<string, bigint>) {
  const copies = valuesOf(world.targetLog('orders'))
  for (const { sourceOffset: offset, targetOffset: place, kind, rereadRecordsMax } of answers) {
    let again = 0n
    for (const [text, at] of past) {
      const copy = copies.get(text)
      if (copy === undefined) continue
      if (at >= offset)
        expect(copy, `offset ${offset}: ${text} is skipped`).toBeGreaterThanOrEqual(place)
      else if (copy >= place) again += 1n
    }
    expect(again, `offset ${offset} (${kind}): read again`).toBeLessThanOrEqual(rereadRecordsMax)
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

/** What was copied: every committed record of the source before anything was removed. */
function pastOf(world: World): Map<string, bigint> {
  const copies = valuesOf(world.targetLog('orders'))
  const all = valuesOf(world.sourceLog('orders'))
  return new Map([...all].filter(([text]) => copies.has(text)))
}

describe('every offset of a log is translated without a record skipped or read again', () => {
  test('a log of plain, committed and aborted records, whatever a run copied at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(write, run), { maxLength: 25 }), async steps => {
        const world = createWorld()
        const anchors = await live(steps, world)
        const answers = await translateAll(world, anchors)
        expect(answers.every(each => each.kind === 'exact')).toBe(true)
        check(world, answers, pastOf(world))
      }),
      { numRuns: 60 },
    )
  })

  test('a log to whose copy others write between the runs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(write, write, run, foreign), { maxLength: 25 }),
        async steps => {
          const world = createWorld()
          const anchors = await live(steps, world)
          check(world, await translateAll(world, anchors), pastOf(world))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a log whose sides are compacted and truncated on their own', async () => {
    const kept = fc.array(fc.boolean(), { minLength: 150, maxLength: 150 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(write, write, run), { maxLength: 25 }),
        fc.record({ source: kept, target: kept, sourceStart: fc.nat(30), targetStart: fc.nat(30) }),
        async (steps, lost) => {
          const world = createWorld()
          const anchors = await live(steps, world)
          const past = pastOf(world)
          world.sourceLog('orders').compact(offset => lost.source[Number(offset)] ?? true)
          world.targetLog('orders').compact(offset => lost.target[Number(offset)] ?? true)
          cut(world.sourceLog('orders'), lost.sourceStart)
          cut(world.targetLog('orders'), lost.targetStart)
          check(world, await translateAll(world, anchors), past)
        },
      ),
      { numRuns: 120 },
    )
  })

  test('a log whose copy carries the time of the standby in every record', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(write, run), { maxLength: 20 }), async steps => {
        const world = createWorld({ targetChange: writesAppendTime })
        const anchors = await live(steps, world)
        check(world, await translateAll(world, anchors), pastOf(world))
      }),
      { numRuns: 30 },
    )
  })
})

function cut(log: FakeLog, start: number): void {
  const at = BigInt(start)
  if (at > log.logStart && at <= log.logEnd) log.deleteBefore(at)
}
