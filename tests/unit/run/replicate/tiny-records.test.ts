// A batch of the default max.message.bytes may hold more than a million tiny records. Where such a
// batch must be opened, everything else of the process has its turn meanwhile.

import { describe, expect, test } from 'vitest'
import { compress } from '../../../../lib/kafka/compression.ts'
import { bodyOf, writeRecords } from '../../../../lib/kafka/record.ts'
import { isControlBatch, type RecordBatch } from '../../../../lib/kafka/record-batch.ts'
import { openedRecordsMax } from '../../../../lib/kafka/record-cursor.ts'
import { openInSlices } from '../../../../lib/kafka/repack.ts'
import { doAtOnce } from '../../../../lib/kafka/slices.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { createWorld, type World, writeBatches } from '../../../support/worlds/replicate-world.ts'
import { LOG_APPEND_TIME } from '../../kafka/batches.ts'
import { tinyRecords } from '../../kafka/tiny-records.ts'

const COUNT = 300_000
const body = bodyOf(Buffer.from('key'), Buffer.from('value'))
const another = { attributes: 0, timestampDelta: 0n, offsetDelta: 0, body }
const ZSTD = 4

/** One batch of tiny records. With LogAppendTime it cannot be produced unchanged. */
function writeTiny(
  log: FakeLog,
  { attributes = LOG_APPEND_TIME | ZSTD, count = COUNT } = {},
): void {
  const codec = (attributes & ZSTD) === 0 ? 'none' : 'zstd'
  const payload = compress(codec, tinyRecords(Math.min(count, COUNT)))
  log.write({ recordsCount: count, payload, attributes })
}

function lengthOf(batch: RecordBatch): number {
  let length = 0
  const records = doAtOnce(openInSlices(batch))
  for (; records.current() !== null; length += 1) records.advance()
  return length
}

function countTurns(world: World): { readonly turns: () => number } {
  let turns = 0
  const { wait } = world.clock
  Object.assign(world.clock, {
    wait: (ms: number, signal?: AbortSignal) => {
      if (ms === 0) turns += 1
      return wait(ms, signal)
    },
  })
  return { turns: () => turns }
}

describe('a batch of hundreds of thousands of tiny records', () => {
  test('a batch that must be rewritten is rewritten in slices, and arrives whole between its neighbours', async () => {
    const world = createWorld()
    world.createTopic('orders', 2)
    writeBatches(world.sourceLog('orders'), 2)
    writeTiny(world.sourceLog('orders'))
    writeBatches(world.sourceLog('orders', 1), 3)
    const { turns } = countTurns(world)

    const report = await world.run('orders', { partitions: [0, 1] })

    expect(report.partitions).toMatchObject([
      { outcome: 'drained', recordsReplicated: BigInt(COUNT + 2) },
      { outcome: 'drained', recordsReplicated: 3n },
    ])
    expect(turns()).toBeGreaterThanOrEqual(COUNT / 65_536 - 1)
    const [last] = world.targetLog('orders').batches.slice(-1)
    expect(last && lengthOf(last)).toBe(COUNT)
    expect(await world.storedIncidents()).toEqual([])
  })

  test('records that a dead owner wrote out of such a batch are compared in slices, and none comes twice', async () => {
    const world = createWorld({ targetBatchBytesMax: 2 ** 23 })
    world.createTopic('orders')
    writeTiny(world.sourceLog('orders'), { attributes: LOG_APPEND_TIME })
    world.sourceLog('orders').write({ payload: writeRecords([another]) })
    let writes = 0
    const checkpoints = {
      ...world.checkpoints,
      save: async (input: Parameters<typeof world.checkpoints.save>[0]) => {
        writes += 1
        if (writes > 2) throw new Error('dead')
        return world.checkpoints.save(input)
      },
    }
    await world.run('orders', { deps: { checkpoints } })
    // Compaction removed the last of them since, so that the batches differ and must be opened.
    const copied = world.targetLog('orders').logEnd
    expect(copied).toBe(BigInt(COUNT + 1))
    world.sourceLog('orders').compact(offset => offset !== BigInt(COUNT - 1))
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    const { turns } = countTurns(world)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
    const data = world.targetLog('orders').batches.filter(each => !isControlBatch(each))
    expect(data.map(each => each.recordsCount)).toEqual([COUNT, 1])
    expect(turns()).toBeGreaterThanOrEqual((3 * COUNT) / 65_536 - 3)
  })

  test('a batch of more records than are opened halts its partition and says so, and the others go on', async () => {
    const world = createWorld()
    world.createTopic('orders', 2)
    writeBatches(world.sourceLog('orders'), 2)
    writeTiny(world.sourceLog('orders'), { count: openedRecordsMax + 1 })
    writeBatches(world.sourceLog('orders', 1), 3)

    const report = await world.run('orders', { partitions: [0, 1] })

    expect(report.partitions).toMatchObject([
      { outcome: 'halted', recordsReplicated: 2n },
      { outcome: 'drained', recordsReplicated: 3n },
    ])
    expect(await world.storedIncidents()).toMatchObject([
      {
        kind: 'unsupported-batch',
        foundOffset: 2n,
        evidence: {
          detail: expect.stringContaining(
            `${openedRecordsMax + 1}, at most ${openedRecordsMax} are opened`,
          ),
          refusedFrom: '2',
          refusedTo: String(openedRecordsMax + 3),
        },
      },
    ])
  })

  test('a batch of any number of records that can be forwarded unchanged is not opened', async () => {
    const world = createWorld()
    world.createTopic('orders')
    writeTiny(world.sourceLog('orders'), { attributes: ZSTD })
    const { turns } = countTurns(world)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(turns()).toBe(0)
  })
})
