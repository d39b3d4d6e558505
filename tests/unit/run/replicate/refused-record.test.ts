// Records that the standby refuses one by one (INVALID_RECORD, INVALID_TIMESTAMP): the records
// around them are copied, and an operator passes over exactly one offset for each incident.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compress } from '../../../../lib/kafka/compression.ts'
import { bodyOf, writeRecords } from '../../../../lib/kafka/record.ts'
import { isControlBatch } from '../../../../lib/kafka/record-batch.ts'
import type { CompressionCodec } from '../../../../lib/kafka/record-batch-layout.ts'
import { readSourceRecords } from '../../../../lib/kafka/repack.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import type { FakeLog, RecordCheck } from '../../../support/doubles/fake-log.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'
import { codecs } from '../../kafka/record-bytes.ts'

type Kind = 'good' | 'old' | 'keyless'

const NOW = 1_700_000_000_000n
/** The base timestamp of every batch is old, so that the target checks each record by itself. */
const AN_HOUR_OLD = NOW - 3_600_000n

/** Refuses records older than an hour and without a key, as a compacted topic with a limit. */
const strict: RecordCheck = ({ timestamp, hasKey }) => {
  if (!hasKey) return 'INVALID_RECORD'
  return timestamp <= AN_HOUR_OLD ? 'INVALID_TIMESTAMP' : null
}

/** Writes one batch with a record of each kind. */
function writeBatch(log: FakeLog, kinds: readonly Kind[], codec: CompressionCodec = 'none'): void {
  const first = log.logEnd
  const records = kinds.map((kind, offsetDelta) => ({
    attributes: 0,
    timestampDelta: kind === 'old' ? 0n : NOW - AN_HOUR_OLD,
    offsetDelta,
    body: bodyOf(
      kind === 'keyless' ? null : Buffer.from('key'),
      Buffer.from(`value-${first + BigInt(offsetDelta)}`),
    ),
  }))
  log.write({
    baseTimestamp: AN_HOUR_OLD,
    maxTimestamp: NOW,
    recordsCount: kinds.length,
    attributes: codecs.indexOf(codec),
    payload: compress(codec, writeRecords(records)),
  })
}

function bodies(log: FakeLog): string[] {
  return log.batches
    .filter(batch => !isControlBatch(batch) && batch.recordsCount > 0)
    .flatMap(batch => readSourceRecords(batch).map(({ body }) => body.toString('latin1')))
}

function strictWorld(options: Parameters<typeof createWorld>[0] = {}): World {
  const world = createWorld(options)
  world.createTopic('orders')
  world.targetLog('orders').refuseRecords(strict)
  return world
}

function resume(world: World, from: bigint | null) {
  return resumePartition(
    { ...world, owner: 'operator' },
    { flow: world.flow, at: { topic: 'orders', partition: 0 }, from },
  )
}

const ten = (at: number, kind: Kind): Kind[] =>
  Array.from({ length: 10 }, (_, index) => (index === at ? kind : 'good'))

describe.each([
  ['names the record', true],
  ['names no record', false],
])('a standby that %s', (_, targetNamesRecords) => {
  test.each([
    ['old', 'INVALID_TIMESTAMP'],
    ['keyless', 'INVALID_RECORD'],
  ] as const)(
    '%s: one refused record of a batch halts the partition at its offset, with every record before it copied',
    async (kind, error) => {
      const world = strictWorld({ targetNamesRecords })
      writeBatch(world.sourceLog('orders'), ten(-1, 'good'))
      writeBatch(world.sourceLog('orders'), ten(5, kind))
      writeBatch(world.sourceLog('orders'), ten(-1, 'good'))

      const report = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 15n }])
      const all = bodies(world.sourceLog('orders'))
      expect(bodies(world.targetLog('orders'))).toEqual(all.slice(0, 15))
      expect(await world.storedIncidents()).toMatchObject([
        {
          kind: 'unsupported-batch',
          resolution: 'open',
          expectedOffset: 15n,
          foundOffset: 15n,
          lostRecordsMax: 0n,
          evidence: { refusedFrom: '15', refusedTo: '16', detail: expect.stringContaining(error) },
        },
      ])
      const lease = (await world.checkpoint('orders'))?.lease
      expect(lease?.untilMs).toBeNull()
      expect(world.lines.map(line => line.text).join('\n')).toMatch(
        /to go on without offset 15: gapless resume orders:0 --flow \S+ --from 16/,
      )
    },
  )

  test('resume behind the refused record passes over exactly one offset, and the rest of the batch follows', async () => {
    const world = strictWorld({ targetNamesRecords })
    writeBatch(world.sourceLog('orders'), ten(5, 'old'))
    writeBatch(world.sourceLog('orders'), ten(-1, 'good'))
    await world.run('orders')

    const resumed = await resume(world, 6n)
    const report = await world.run('orders')

    expect(resumed.skippedOffsets).toBe(1n)
    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 14n }])
    const all = bodies(world.sourceLog('orders'))
    expect(bodies(world.targetLog('orders'))).toEqual([...all.slice(0, 5), ...all.slice(6)])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'unsupported-batch', resolution: 'resumed', lostRecordsMax: 1n },
    ])
  })

  test('resume without an offset sends the record again, and it is copied once the standby takes it', async () => {
    const world = strictWorld({ targetNamesRecords })
    writeBatch(world.sourceLog('orders'), ten(5, 'keyless'))
    await world.run('orders')
    await resume(world, null)
    const still = await world.run('orders')
    await resume(world, null)
    world.targetLog('orders').refuseRecords(null)

    const report = await world.run('orders')

    expect(still.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 0n }])
    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(bodies(world.targetLog('orders'))).toEqual(bodies(world.sourceLog('orders')))
    expect(await world.storedIncidents()).toMatchObject([
      { resolution: 'resumed', lostRecordsMax: 0n },
    ])
  })
})

test('an offset without a record in front of the refused one is not counted as passed over', async () => {
  const world = strictWorld()
  writeBatch(world.sourceLog('orders'), ten(-1, 'good'))
  await world.run('orders')
  world.sourceLog('orders').leaveHole(7n)
  writeBatch(world.sourceLog('orders'), ten(0, 'old'))
  await world.run('orders')

  const resumed = await resume(world, 18n)

  expect(resumed.skippedOffsets).toBe(1n)
  expect(await world.storedIncidents()).toMatchObject([
    { expectedOffset: 10n, lostRecordsMax: 1n, evidence: { refusedFrom: '17', refusedTo: '18' } },
  ])
})

test.each([
  ['an index behind the batch', 10],
  ['a negative index', -1],
  ['always the second record', 1],
])(
  'an answer that names %s still ends at a single record, with those before it copied',
  async (_, refusedRecord) => {
    const world = strictWorld()
    writeBatch(world.sourceLog('orders'), ten(5, 'old'))
    world.target.control('produce', async (serve, leaderId, request) => {
      const answer = await serve(leaderId, request)
      const partitions = answer.partitions.map(each =>
        each.refusedRecord === undefined ? each : { ...each, refusedRecord },
      )
      return { ...answer, partitions }
    })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 5n }])
    expect(await world.storedIncidents()).toMatchObject([
      { foundOffset: 5n, evidence: { refusedFrom: '5', refusedTo: '6' } },
    ])
  },
)

test('a whole batch that the standby refuses for its codec halts with all its offsets', async () => {
  const world = strictWorld()
  writeBatch(world.sourceLog('orders'), ten(-1, 'good'), 'zstd')
  world.target.control('produce', async (_serve, _leaderId, request) => ({
    throttleTimeMs: 0,
    partitions: request.topics.flatMap(({ name: topic, partitions }) =>
      partitions.map(({ partition }) => ({
        ...{ topic, partition, errorCode: 76, baseOffset: null, errorMessage: null },
        ...{ logAppendTimeMs: null, logStartOffset: null },
      })),
    ),
  }))

  await world.run('orders')

  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'unsupported-batch', evidence: { refusedFrom: '0', refusedTo: '10' } },
  ])
})

test('whatever records are refused, each is one incident with one offset, and all others arrive once, in order', async () => {
  const kind = fc.oneof(
    { weight: 6, arbitrary: fc.constant<Kind>('good') },
    { weight: 1, arbitrary: fc.constantFrom<Kind>('old', 'keyless') },
  )
  const batch = fc.record({
    kinds: fc.array(kind, { minLength: 1, maxLength: 12 }),
    codec: fc.constantFrom(...codecs),
    hole: fc.nat(2),
  })
  const plan = fc.record({
    batches: fc.array(batch, { minLength: 1, maxLength: 6 }),
    isNamed: fc.boolean(),
    isCompacted: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(plan, async ({ batches, isNamed: targetNamesRecords, isCompacted }) => {
      const world = strictWorld({ targetNamesRecords })
      const source = world.sourceLog('orders')
      const refused: bigint[] = []
      for (const { kinds, codec, hole } of batches) {
        source.leaveHole(BigInt(hole))
        kinds.forEach((each, index) => {
          if (each !== 'good') refused.push(source.logEnd + BigInt(index))
        })
        writeBatch(source, kinds, isCompacted ? 'none' : codec)
      }
      if (isCompacted) source.compact(offset => offset % 3n !== 1n)
      const present = new Set(
        source.batches.flatMap(each => readSourceRecords(each).map(({ offset }) => offset)),
      )
      const expected = refused.filter(offset => present.has(offset))
      const wanted = source.batches.flatMap(each =>
        readSourceRecords(each)
          .filter(({ offset }) => !expected.includes(offset))
          .map(({ body }) => body.toString('latin1')),
      )

      for (const offset of expected) {
        const report = await world.run('orders')
        expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
        const open = (await world.storedIncidents()).filter(each => each.resolution === 'open')
        const evidence = { refusedFrom: String(offset), refusedTo: String(offset + 1n) }
        expect(open).toMatchObject([{ foundOffset: offset, evidence }])
        expect((await resume(world, offset + 1n)).skippedOffsets).toBe(1n)
      }
      const report = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
      expect(bodies(world.targetLog('orders'))).toEqual(wanted)
      expect(await world.storedIncidents()).toHaveLength(expected.length)
    }),
    { numRuns: 60 },
  )
})
