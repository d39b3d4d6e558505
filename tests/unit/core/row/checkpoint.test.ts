import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { epochHistoryMax } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { PartitionState, Position } from '../../../../lib/core/partition/partition-state.ts'
import {
  checkpointKey,
  readCheckpoint,
  stateAttributes,
} from '../../../../lib/core/row/checkpoint.ts'
import { CorruptRowError, type Row } from '../../../../lib/core/row/row.ts'
import { byTopicAndPartition } from '../../../../lib/core/topic-partition.ts'
import { allStates, fullPosition, partitionKey } from '../../../support/contracts/store-examples.ts'
import { anchors } from '../translate/anchor-examples.ts'

const offsets = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const int32 = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const times = fc.integer({ min: 0, max: 2 ** 53 - 1 })

/** As many as may be kept, with epochs and offsets that grow. */
const epochHistories = fc
  .tuple(
    fc.uniqueArray(int32, { maxLength: epochHistoryMax }),
    fc.uniqueArray(offsets, { minLength: epochHistoryMax, maxLength: epochHistoryMax }),
    fc.array(fc.option(offsets), { minLength: epochHistoryMax, maxLength: epochHistoryMax }),
  )
  .map(([epochs, sources, targets]) => {
    sources.sort((left, right) => (left < right ? -1 : 1))
    return epochs
      .sort((left, right) => left - right)
      .map((epoch, index) => ({
        epoch,
        sourceOffset: sourceOffset(sources[index] ?? 0n),
        targetOffset: targets[index] == null ? null : targetOffset(targets[index]),
      }))
  })

const counts: fc.Arbitrary<Pick<Position, 'copied'>> = fc.oneof(
  fc.constant({}),
  fc.record({ copied: fc.record({ records: offsets, anchor: anchors }) }),
)

const paddings: fc.Arbitrary<Pick<Position, 'padding'>> = fc
  .option(
    fc.oneof(
      offsets.map(to => ({ stage: 'done' as const, to: targetOffset(to) })),
      offsets.map(to => ({ stage: 'filling' as const, to: targetOffset(to), restores: null })),
      fc.constant({ stage: 'impossible' as const, obstacle: 'alter-denied' as const }),
    ),
  )
  .map(padding => (padding === null ? {} : { padding }))

const positions: fc.Arbitrary<Position> = fc
  .tuple(
    fc.tuple(counts, paddings).map(([counted, padded]) => ({ ...counted, ...padded })),
    fc.record({
      sourceTopicId: fc.uuid(),
      targetTopicId: fc.uuid(),
      nextSourceOffset: offsets.map(sourceOffset),
      nextTargetOffset: offsets.map(targetOffset),
      epochs: epochHistories,
      lastSeenLogEndOffset: fc.option(offsets.map(sourceOffset)),
      lastTimestampMs: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
      rewinds: int32,
      producer: fc.option(
        fc.record({
          producerId: offsets,
          producerEpoch: fc.integer({ min: 0, max: 2 ** 15 - 1 }),
          nextSequence: int32,
          assignedAtMs: times,
          fencing: fc.constantFrom('transactional-id' as const, 'none' as const),
        }),
      ),
    }),
  )
  .map(([counted, position]) => ({ ...position, ...counted }))

const states: fc.Arbitrary<PartitionState> = fc.oneof(
  fc.constant({ kind: 'unstarted' } as const),
  fc.record({ kind: fc.constant('replicating' as const), position: positions }),
  fc.record({
    kind: fc.constantFrom('waiting' as const, 'halted' as const),
    position: positions,
    incidentId: fc.string({ unit: 'binary' }),
  }),
)

const keys = fc.record({
  flow: fc.string({ minLength: 1, unit: 'grapheme' }),
  topic: fc.stringMatching(/^[a-zA-Z0-9._-]{1,249}$/),
  partition: int32,
})

const leases = fc.record({ owner: fc.string(), fence: times, untilMs: fc.option(times) })

function rowOf(state: PartitionState): Row {
  return {
    ...checkpointKey(partitionKey()),
    ...stateAttributes(state).present,
    targetTopic: { S: 'primary.commit-log' },
    owner: { S: 'run-1' },
    fence: { N: '7' },
    leaseUntilMs: { N: '1700000020000' },
    previousLeaseUntilMs: { N: '0' },
    updatedAtMs: { N: '1700000000000' },
  }
}

const row = rowOf({ kind: 'halted', position: fullPosition, incidentId: 'x' })

describe('a checkpoint', () => {
  test('a checkpoint is read back from its row as it was written, for any key, state and lease', () => {
    fc.assert(
      fc.property(keys, states, leases, times, (key, state, lease, updatedAtMs) => {
        const { owner, fence, untilMs } = lease
        const written: Row = {
          ...checkpointKey(key),
          ...stateAttributes(state).present,
          targetTopic: { S: key.topic },
          owner: { S: owner },
          fence: { N: String(fence) },
          ...(untilMs === null ? {} : { leaseUntilMs: { N: String(untilMs) } }),
          updatedAtMs: { N: String(updatedAtMs) },
        }
        expect(readCheckpoint(written)).toEqual({
          ...key,
          targetTopic: key.topic,
          state,
          lease,
          updatedAtMs,
        })
      }),
    )
  })

  test('a checkpoint keeps every digit of an offset near 2^63-1', () => {
    const { present } = stateAttributes({ kind: 'replicating', position: fullPosition })
    expect(present.nextSourceOffset).toEqual({ N: '9223372036854775807' })
    expect(present.nextTargetOffset).toEqual({ N: '9223372036854775806' })
  })

  test('a checkpoint names the same attributes in every state, each either present or absent', () => {
    const names = allStates.map(state => {
      const { present, absent } = stateAttributes(state)
      return [...Object.keys(present), ...absent].sort()
    })
    for (const each of names) expect(each).toEqual(names[0])
  })

  test('a row with attributes that another version may add is read', () => {
    const later: Row = { ...row, compression: { N: '17' } }
    expect(readCheckpoint(later)).toEqual(readCheckpoint(row))
  })
})

describe('the key of a checkpoint', () => {
  test('any two partitions have different keys', () => {
    fc.assert(
      fc.property(keys, keys, (left, right) => {
        const same =
          left.flow === right.flow &&
          left.topic === right.topic &&
          left.partition === right.partition
        const sameKey = JSON.stringify(checkpointKey(left)) === JSON.stringify(checkpointKey(right))
        expect(sameKey).toBe(same)
      }),
    )
  })

  test('the keys of a topic sort by partition number', () => {
    fc.assert(
      fc.property(int32, int32, (left, right) => {
        const [leftKey, rightKey] = [left, right].map(partition => {
          const { sk } = checkpointKey(partitionKey({ partition }))
          return sk !== undefined && 'S' in sk ? sk.S : ''
        })
        expect(Math.sign(left - right)).toBe(
          leftKey === rightKey ? 0 : String(leftKey) < String(rightKey) ? -1 : 1,
        )
      }),
    )
  })
})

describe('the order of checkpoints', () => {
  test('checkpoints sort by topic, also where one name begins like another, and then by partition', () => {
    const ordered = [
      { flow: 'f', topic: 'a', partition: 2 },
      { flow: 'f', topic: 'a', partition: 10 },
      { flow: 'f', topic: 'a-b', partition: 0 },
      { flow: 'f', topic: 'a.b', partition: 1 },
      { flow: 'f', topic: 'ab', partition: 0 },
    ]
    expect(ordered.toReversed().sort(byTopicAndPartition)).toEqual(ordered)
  })
})

describe('a corrupt row', () => {
  const required = [
    'state',
    'sourceTopicId',
    'targetTopicId',
    'nextSourceOffset',
    'nextTargetOffset',
    'incidentId',
    'targetTopic',
    'owner',
    'fence',
    'updatedAtMs',
  ]

  test.each(required.map(name => [name]))('a row without %s is refused by that name', name => {
    const { [name]: _, ...rest } = row
    expect(() => readCheckpoint(rest)).toThrow(CorruptRowError)
    expect(() => readCheckpoint(rest)).toThrow(
      new RegExp(
        `"primary-to-standby" "checkpoint/commit-log/0000000000": attribute ${name} is missing`,
      ),
    )
  })

  test.each([
    ['nextSourceOffset', { N: '-1' }, '2^63-1'],
    ['nextSourceOffset', { N: '9223372036854775808' }, '2^63-1'],
    ['nextTargetOffset', { N: '1E+3' }, 'an integer'],
    ['lastSeenLogEndOffset', { N: '-5' }, '2^63-1'],
    ['epochs', { N: '5' }, 'a string'],
    ['epochs', { S: '' }, 'epoch:sourceOffset:targetOffset'],
    ['epochs', { S: '1:5' }, 'epoch:sourceOffset:targetOffset'],
    ['epochs', { S: '1:5:5,1:6:6' }, 'epoch:sourceOffset:targetOffset'],
    ['epochs', { S: '1:5:5,2:5:6' }, 'epoch:sourceOffset:targetOffset'],
    ['epochs', { S: '2147483648:5:5' }, 'epoch:sourceOffset:targetOffset'],
    ['epochs', { S: '1:9223372036854775808:5' }, 'epoch:sourceOffset:targetOffset'],
    ['copied', { S: '5' }, 'records:nextSourceOffset:nextTargetOffset'],
    ['copied', { N: '5' }, 'a string'],
    ['anchor', { S: '1:2:3@4' }, 'source:target:records@ms reason'],
    ['anchor', { S: '1:2:3@4 whim' }, 'source:target:records@ms reason'],
    ['fence', { N: '9007199254740993' }, 'below 2^53'],
    ['leaseUntilMs', { S: 'tomorrow' }, 'an integer'],
    ['owner', { N: '1' }, 'a string'],
    ['state', { S: 'asleep' }, 'unstarted, replicating, waiting, halted or failed-over'],
    ['sk', { S: 'checkpoint/commit-log' }, 'checkpoint/<topic>/<partition'],
    ['sk', { S: 'checkpoint/commit-log/7' }, 'checkpoint/<topic>/<partition'],
    ['sk', { S: 'incident/a/0000000000' }, 'checkpoint/<topic>/<partition'],
    ['targetTopic', { BOOL: true }, 'a string'],
  ])('a row with %s as %j is refused with the expected form', (name, value, expected) => {
    const corrupt = { ...row, [name]: value }
    expect(() => readCheckpoint(corrupt)).toThrow(CorruptRowError)
    expect(() => readCheckpoint(corrupt)).toThrow(`attribute ${name} is ${JSON.stringify(value)}`)
    expect(() => readCheckpoint(corrupt)).toThrow(expected)
  })

  test('a corrupt row is reported in one line, however large the attribute is', () => {
    const large = { ...row, state: { S: 'x'.repeat(400_000) } }
    const refuse = () => readCheckpoint(large)
    expect(refuse).toThrow(CorruptRowError)
    expect(refuse).toThrow(/^.{1,400}$/)
  })
})

describe('the count of copied records', () => {
  test('a count that a version which does not count has left behind is none', () => {
    const moved = { ...row, nextSourceOffset: { N: '7' } }
    const { state } = readCheckpoint(moved)
    expect(state).toMatchObject({ position: { nextSourceOffset: 7n } })
    expect(state).not.toHaveProperty('position.copied')
  })

  test('a row with sixteen leader epochs and offsets of twelve digits stays below one write unit', () => {
    const offset = 999_999_999_999n
    const epochs = Array.from({ length: epochHistoryMax }, (_, index) => ({
      epoch: 10 + index,
      sourceOffset: sourceOffset(offset - 100n + BigInt(index)),
      targetOffset: null,
    }))
    const at = { sourceOffset: sourceOffset(offset), targetOffset: targetOffset(offset) }
    const anchor = {
      ...at,
      copiedRecords: offset,
      atMs: 1_700_000_000_000,
      reason: 'spacing' as const,
    }
    const position = {
      ...fullPosition,
      nextSourceOffset: at.sourceOffset,
      nextTargetOffset: at.targetOffset,
      epochs,
      copied: { records: offset, anchor },
    }
    const bytes = Object.entries(rowOf({ kind: 'replicating', position })).map(
      ([name, value]) => name.length + JSON.stringify(Object.values(value)[0]).length - 2,
    )
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(1024)
  })
})

describe('a row written before epochs were kept', () => {
  const { epochs: _, ...before } = row

  test('a row written before epochs were kept has only the epoch of the last batch', () => {
    const { state } = readCheckpoint({ ...before, lastEpoch: { N: '5' } })
    expect(state).toMatchObject({
      position: {
        epochs: [{ epoch: 5, sourceOffset: fullPosition.nextSourceOffset, targetOffset: null }],
      },
    })
  })

  test('a row written before epochs were kept may have no epoch', () => {
    expect(readCheckpoint(before).state).toMatchObject({ position: { epochs: [] } })
  })

  test('writing epochs removes the attribute that they replaced', () => {
    expect(stateAttributes({ kind: 'replicating', position: fullPosition }).absent).toContain(
      'lastEpoch',
    )
  })
})
