// Under `onReset: recreate`: when the standby topic of a recreated topic is deleted, what waits for
// that meanwhile, and which rows are of nothing that exists. Every doubt keeps the standby topic.

import { expect, test } from 'vitest'
import { targetOffset } from '../../../../lib/core/offset.ts'
import type { PartitionState, Position } from '../../../../lib/core/partition/partition-state.ts'
import {
  awaitsDeletion,
  awaitsNewStandby,
  decideRecreation,
  leftBehind,
  type RecreatedTopic,
} from '../../../../lib/core/sync/recreation.ts'
import { tablePosition } from '../../../support/contracts/transition-table.ts'

const { sourceTopicId, targetTopicId, nextTargetOffset: end } = tablePosition
const now = { topicId: 'source-2', partitions: [0, 1] }

const waiting = (partition: number, position: Position = tablePosition, incidentId?: string) => ({
  partition,
  state: {
    kind: 'waiting' as const,
    position,
    incidentId: incidentId ?? `topic-reset:orders:${partition}:${sourceTopicId}`,
  },
})
const row = (partition: number, state: PartitionState) => ({ partition, state })
const replicating = (partition: number, position: Position = tablePosition) =>
  row(partition, { kind: 'replicating', position })
const renewed = { ...tablePosition, sourceTopicId: now.topicId, targetTopicId: 'target-2' }
const empty = { ...tablePosition, nextTargetOffset: targetOffset(0n) }

const recreated: RecreatedTopic = {
  now,
  states: [waiting(0), waiting(1, empty)],
  partitions: [
    { partition: 0, position: tablePosition, isLeased: false, hadForeignRecords: false },
    { partition: 1, position: empty, isLeased: false, hadForeignRecords: false },
  ],
  source: { kind: 'gone' },
  isKnownSource: true,
  standby: {
    kind: 'exists',
    topicId: targetTopicId,
    logEnds: new Map([
      [0, end],
      [1, 0n],
    ]),
  },
}

test('the standby topic that holds nothing but copies of the old topic is deleted by its id, without a day of waiting', () => {
  expect(decideRecreation(recreated)).toEqual({ kind: 'delete', topicId: targetTopicId })
})

test('a partition that the new topic does not have may wait for any reason', () => {
  const narrower = { ...now, partitions: [0] }
  const states = [waiting(0), waiting(1, empty, 'topic-deleted:orders:1:source-1')]
  expect(decideRecreation({ ...recreated, now: narrower, states }).kind).toBe('delete')
})

test('nothing is left to delete where the standby topic is missing or new', () => {
  const missing = { kind: 'missing', byId: { kind: 'gone' } } as const
  expect(decideRecreation({ ...recreated, standby: missing })).toEqual({ kind: 'done' })
  const another = { kind: 'exists', topicId: 'target-2', logEnds: new Map() } as const
  expect(decideRecreation({ ...recreated, standby: another })).toEqual({ kind: 'done' })
})

const existing = recreated.standby.kind === 'exists' ? recreated.standby : null
const withEnds = (...ends: [number, bigint | null][]): RecreatedTopic => {
  if (existing === null) throw new Error('the example has a standby topic')
  return { ...recreated, standby: { ...existing, logEnds: new Map(ends) } }
}
const withFirst = (
  change: Partial<RecreatedTopic['partitions'][number]>,
): RecreatedTopic['partitions'] =>
  recreated.partitions.map((each, index) => (index === 0 ? { ...each, ...change } : each))
const unknown = { kind: 'unknown', detail: 'no answer' } as const

const doubts: Record<string, readonly [RecreatedTopic, RegExp]> = {
  'a partition is halted': [
    {
      ...recreated,
      states: [waiting(0), row(1, { kind: 'halted', position: empty, incidentId: 'why' })],
    },
    /partition 1 is halted by why/,
  ],
  'a partition is copied from the new topic already': [
    {
      ...recreated,
      states: [waiting(0), replicating(1, { ...empty, sourceTopicId: now.topicId })],
    },
    /partition 1 is copied from the new topic/,
  ],
  'a broker of the source still knows the old id': [
    { ...recreated, source: { kind: 'exists' } },
    /still knows/,
  ],
  'a broker of the source does not answer': [{ ...recreated, source: unknown }, /no answer/],
  'no other topic proves which cluster the source is': [
    { ...recreated, isKnownSource: false },
    /another cluster/,
  ],
  'its partitions are of two source topics': [
    {
      ...recreated,
      partitions: withFirst({ position: { ...tablePosition, sourceTopicId: 'another' } }),
    },
    /several topics/,
  ],
  'a run holds a partition': [
    { ...recreated, partitions: withFirst({ isLeased: true }) },
    /run holds/,
  ],
  'the standby does not answer': [{ ...recreated, standby: unknown }, /no answer/],
  'one partition was copied to another standby topic': [
    {
      ...recreated,
      partitions: withFirst({ position: { ...tablePosition, targetTopicId: 'another' } }),
    },
    /id differs/,
  ],
  'an application wrote behind the copied records': [
    withEnds([0, end + 1n], [1, 0n]),
    /applications may have written/,
  ],
  'an application wrote to a partition that was never copied': [
    withEnds([0, end], [1, 0n], [2, 5n]),
    /partition 2 ends at 5/,
  ],
  'a log end is not known': [withEnds([0, null], [1, 0n]), /not known/],
  'foreign records were seen there once': [
    { ...recreated, partitions: withFirst({ hadForeignRecords: true }) },
    /applications have written/,
  ],
}

for (const [doubt, [topic, reason]] of Object.entries(doubts)) {
  test(`the standby topic is kept when ${doubt}`, () => {
    expect(decideRecreation(topic)).toEqual({
      kind: 'keep',
      reason: expect.stringMatching(reason),
      isPassing: false,
    })
  })
}

test.each([
  ['still copies the old topic', replicating(0)],
  ['waits since the old topic was deleted', waiting(0, tablePosition, 'topic-deleted:orders:0:a')],
])('a partition that %s is looked at by a run first', (_, first) => {
  expect(decideRecreation({ ...recreated, states: [first, waiting(1, empty)] })).toEqual({
    kind: 'keep',
    reason: expect.stringContaining('partition 0 has not seen'),
    isPassing: true,
  })
})

test('a partition that only the new topic has does not begin on the old standby topic, under this policy alone', () => {
  const at = { source: now, targetTopicId }
  const policy = { onReset: 'recreate' } as const
  expect(awaitsDeletion(policy, [waiting(0)], at)).toBe(true)
  expect(awaitsDeletion(policy, [replicating(0)], at)).toBe(true)
  expect(awaitsDeletion({ onReset: 'resume' }, [waiting(0)], at)).toBe(false)
  expect(awaitsDeletion(policy, [waiting(0)], { ...at, targetTopicId: 'target-2' })).toBe(false)
  // A topic that no run has seen, and one that is copied already, begin as ever.
  expect(awaitsDeletion(policy, [], at)).toBe(false)
  expect(awaitsDeletion(policy, [waiting(0), replicating(1, renewed)], at)).toBe(false)
})

test('a single partition that still waits on the old standby topic is looked for, and one on a new one is not', () => {
  const at = { source: now, targetTopicId }
  const other = { ...tablePosition, sourceTopicId: now.topicId }
  expect(awaitsNewStandby([waiting(0)], at)).toBe(true)
  expect(awaitsNewStandby([waiting(0), replicating(1, other)], at)).toBe(true)
  expect(awaitsNewStandby([waiting(2), replicating(1, other)], at)).toBe(false)
  const after = { source: now, targetTopicId: 'target-2' }
  expect(awaitsNewStandby([waiting(0), replicating(1, renewed)], after)).toBe(false)
})

test('rows are left behind of partitions that the new topic lacks, once their standby topic is gone', () => {
  const rows = [replicating(0, renewed), waiting(2), replicating(3)]
  const after = { source: now, targetTopicId: 'target-2' }
  expect(leftBehind(rows, after)).toEqual([waiting(2)])
  expect(leftBehind(rows, { ...after, targetTopicId: null })).toEqual([waiting(2)])
  expect(leftBehind(rows, { ...after, targetTopicId })).toEqual([])
  expect(leftBehind([waiting(1)], after)).toEqual([])
  const gone = { topicId: sourceTopicId, partitions: [0] }
  expect(leftBehind([waiting(2)], { ...after, source: gone })).toEqual([])
})
