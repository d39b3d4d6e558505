// Batches larger than the target's max.message.bytes, of records that each fit.

import { expect, test } from 'vitest'
import { bodyOf, writeRecords } from '../../../../lib/kafka/record.ts'
import { readSourceRecords } from '../../../../lib/kafka/repack.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

const VALUE_BYTES = 100

/** Writes one batch of real records with values of these sizes, each with a key of its own. */
function writeRecordsOf(world: World, sizes: readonly number[]): void {
  const log = world.sourceLog('orders')
  const records = sizes.map((size, offsetDelta) => ({
    attributes: 0,
    timestampDelta: 0n,
    offsetDelta,
    body: bodyOf(Buffer.from(`key-${log.logEnd}-${offsetDelta}`), Buffer.alloc(size, 'x')),
  }))
  log.write({ recordsCount: sizes.length, payload: writeRecords(records) })
}

function bodies(log: ReturnType<World['sourceLog']>): string[] {
  return log.batches.flatMap(batch =>
    readSourceRecords(batch).map(({ body }) => body.toString('latin1')),
  )
}

function worldTaking(batchBytesMax: number): World {
  const world = createWorld({ targetBatchBytesMax: batchBytesMax })
  world.createTopic('orders')
  return world
}

const even = Array<number>(16).fill(VALUE_BYTES)

test('batches too large for the target are halved until they fit, in order and without an incident', async () => {
  const world = worldTaking(400)
  writeRecordsOf(world, [10])
  writeRecordsOf(world, even)
  writeRecordsOf(world, [20, 30])

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 19n }])
  expect(bodies(world.targetLog('orders'))).toEqual(bodies(world.sourceLog('orders')))
  expect(world.targetLog('orders').batches.length).toBeGreaterThan(3)
  expect(world.targetLog('orders').batches.every(each => each.bytes.length <= 400)).toBe(true)
  expect(await world.storedIncidents()).toEqual([])
})

test('a single record too large for the target halts the partition, with all records before it copied', async () => {
  const world = worldTaking(400)
  writeRecordsOf(world, [10, 20, 30, 1000, 40])

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 3n }])
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'record-too-large', expectedOffset: 3n, foundOffset: 3n },
  ])
  expect(bodies(world.targetLog('orders'))).toEqual(bodies(world.sourceLog('orders')).slice(0, 3))
})

test('the halves of a batch that a crashed owner sent are recognized and not copied again', async () => {
  const world = worldTaking(400)
  writeRecordsOf(world, even)
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
  writeRecordsOf(world, [20, 30])
  await world.clock.wait(world.flow.budgets.leaseMs + 1)

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 2n }])
  const copied = world.targetLog('orders').batches.filter(each => (each.attributes & 0x20) === 0)
  const onTarget = copied.flatMap(batch => readSourceRecords(batch).map(({ body }) => body))
  expect(onTarget.map(body => body.toString('latin1'))).toEqual(bodies(world.sourceLog('orders')))
})
