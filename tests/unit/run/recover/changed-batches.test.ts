// Recovery behind a standby that changes what it is sent: it stamps its own time, compresses anew,
// or stands behind a proxy. Every record is on the standby once, and records of gapless that match
// nothing are an incident.

import { describe, expect, test } from 'vitest'
import {
  type BatchChange,
  both,
  recompresses,
  retimes,
  stampsAppendTime,
  writesAppendTime,
} from '../../../support/doubles/changing-broker.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { batchWith, valuesIn, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

const changes: readonly (readonly [string, BatchChange])[] = [
  ['stamps LogAppendTime as Kafka does', stampsAppendTime],
  ['writes the append time into every record', writesAppendTime],
  ['compresses with gzip', recompresses('gzip')],
  ['compresses with zstd', recompresses('zstd')],
  ['stamps LogAppendTime and compresses anew', both(recompresses('gzip'), stampsAppendTime)],
  ['stands behind a proxy that writes its own CreateTime', retimes],
]

function ordersWorld(targetChange: BatchChange): World {
  const world = createWorld({ targetChange, flow: { onTruncation: 'continue' } })
  world.createTopic('orders')
  return world
}

/** A run that copies everything and stores only its start, because its process died. */
async function dieAfterCopying(world: World): Promise<void> {
  let writes = 0
  const first = (await world.checkpoint('orders')) === null
  const deps = watchStores(world, async () => {
    writes += 1
    if (writes > (first ? 2 : 0)) throw new Error('dead')
  })
  await world.run('orders', { deps })
}

/** Equal records at different times. */
const beat = (at: bigint) => ({ key: 'host', value: 'alive', at })

async function recover(world: World) {
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
  return world.run('orders')
}

describe.each(changes)('behind a standby that %s', (_, change) => {
  test('a crash repeats no record and leaves none out, however the next owner cuts its batches', async () => {
    const world = ordersWorld(change)
    const source = world.sourceLog('orders')
    // Batches of three and of seven: the first owner sends them joined.
    const values = [...writeNumbered(source, 9), ...writeNumbered(source, 14, { from: 9, size: 7 })]
    await dieAfterCopying(world)
    expect(valuesIn(world.targetLog('orders'))).toEqual(values)
    values.push(...writeNumbered(source, 6, { from: 23, size: 2 }))

    const report = await recover(world)

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 6n }])
    expect(valuesIn(world.targetLog('orders'))).toEqual(values)
    expect(await world.storedIncidents()).toEqual([])
  })

  test('a crash repeats no record of several that are equal, and leaves none out', async () => {
    const world = ordersWorld(change)
    const source = world.sourceLog('orders')
    for (let at = 0n; at < 5n; at += 1n) source.write(batchWith([beat(at)]))
    await dieAfterCopying(world)
    for (let at = 5n; at < 9n; at += 1n) source.write(batchWith([beat(at)]))
    await recover(world)
    expect(valuesIn(world.targetLog('orders'))).toEqual(Array(9).fill('alive'))
    expect(await world.storedIncidents()).toEqual([])
  })

  test('records that retention removes from the source before a recovery hide no equal record behind them', async () => {
    const world = ordersWorld(change)
    const source = world.sourceLog('orders')
    for (let at = 0n; at < 5n; at += 1n) source.write(batchWith([beat(at)]))
    await dieAfterCopying(world)
    for (let at = 5n; at < 9n; at += 1n) source.write(batchWith([beat(at)]))
    source.deleteBefore(3n)
    await recover(world)
    expect(valuesIn(world.targetLog('orders'))).toEqual(Array(9).fill('alive'))
    expect(await world.storedIncidents()).toEqual([])
  })

  test('records that compaction removes from the source before a recovery raise no incident', async () => {
    const world = ordersWorld(change)
    const source = world.sourceLog('orders')
    const values = writeNumbered(source, 12)
    await dieAfterCopying(world)
    source.compact(offset => offset !== 1n && offset !== 4n && offset !== 5n)
    values.push(...writeNumbered(source, 3, { from: 12 }))
    await recover(world)
    expect(valuesIn(world.targetLog('orders'))).toEqual(values)
    expect(await world.storedIncidents()).toEqual([])
  })
})

test('a partition halts where no timestamp and no sequence tells a copy of the next record from a copy of a lost one', async () => {
  const world = ordersWorld(writesAppendTime)
  const source = world.sourceLog('orders')
  // With a hole, offsets of the source and sequences of the producer no longer say the same.
  const values = writeNumbered(source, 8, { size: 1 }).slice(5)
  source.compact(offset => offset >= 5n)
  await dieAfterCopying(world)
  source.deleteBefore(1n)

  const report = await recover(world)

  expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 0n }])
  expect(valuesIn(world.targetLog('orders'))).toEqual(values)
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'target-unclear', evidence: { unmatchedRecords: '1' } },
  ])
})

test('a foreign record that equals the next one in all but its time is no copy of it', async () => {
  const world = ordersWorld(stampsAppendTime)
  const values = writeNumbered(world.sourceLog('orders'), 6)
  await dieAfterCopying(world)
  values.push(...writeNumbered(world.sourceLog('orders'), 1, { from: 6 }))
  world.targetLog('orders').write(batchWith([{ key: 'k6', value: 'v6', at: 99n }]))
  await recover(world)
  expect(valuesIn(world.targetLog('orders'))).toEqual([...values.slice(0, 6), 'v6', 'v6'])
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'target-drifted', evidence: { foreignRecords: '1' } },
  ])
})

/** A standby that changes values: nothing that it holds can be recognized. */
const garbles: BatchChange = batch => {
  const bytes = Buffer.from(stampsAppendTime(batch, 1))
  bytes.write('V', bytes.lastIndexOf('v'))
  return Buffer.from(stampsAppendTime({ ...batch, bytes }, 1))
}

test('records of gapless that match nothing halt the partition with their range and number, and resume goes on', async () => {
  const world = ordersWorld(garbles)
  const values = writeNumbered(world.sourceLog('orders'), 3)
  await dieAfterCopying(world)

  const report = await recover(world)

  expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 0n }])
  expect(await world.storedIncidents()).toMatchObject([
    {
      kind: 'target-unclear',
      resolution: 'open',
      expectedOffset: 0n,
      foundOffset: 3n,
      evidence: { nextSourceOffset: '2', unmatchedRecords: '1' },
    },
  ])
  expect(world.lines.map(each => each.text).join('\n')).toContain(
    'gapless resume orders:0 --flow flow',
  )
  expect(valuesIn(world.targetLog('orders'))).toHaveLength(values.length)
  // A tick changes nothing.
  expect((await recover(world)).partitions).toMatchObject([{ outcome: 'halted' }])
})
