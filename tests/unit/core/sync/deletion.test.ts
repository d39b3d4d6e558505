// Whether the standby topic of a deleted topic is deleted as well: every doubt keeps it.

import { expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { type DeletedTopic, decideDeletion } from '../../../../lib/core/sync/deletion.ts'
import { deletionKeptMs } from '../../../../lib/core/sync/deletion-limits.ts'
import { tablePosition } from '../../../support/contracts/transition-table.ts'

const nowMs = 1_800_000_000_000
const end = tablePosition.nextTargetOffset

const gone: DeletedTopic = {
  partitions: [
    { partition: 0, position: tablePosition, isLeased: false, hadForeignRecords: false },
    {
      partition: 1,
      position: { ...tablePosition, nextTargetOffset: targetOffset(0n) },
      isLeased: false,
      hadForeignRecords: false,
    },
  ],
  deletedAtMs: nowMs - deletionKeptMs,
  source: { kind: 'gone' },
  isKnownSource: true,
  standby: {
    kind: 'exists',
    topicId: tablePosition.targetTopicId,
    logEnds: new Map([
      [0, end],
      [1, 0n],
    ]),
  },
}

test('a topic that every broker says is gone, a day ago, whose copy nobody wrote to, is deleted by its id', () => {
  expect(decideDeletion(gone, nowMs)).toEqual({
    kind: 'delete',
    topicId: tablePosition.targetTopicId,
  })
})

test('a standby topic that is gone already leaves only its checkpoints to remove', () => {
  const standby = { kind: 'missing', byId: { kind: 'gone' } } as const
  expect(decideDeletion({ ...gone, standby }, nowMs)).toEqual({ kind: 'forget' })
})

const existing = gone.standby.kind === 'exists' ? gone.standby : null
const withEnds = (...ends: [number, bigint | null][]): DeletedTopic => {
  if (existing === null) throw new Error('the example has a standby topic')
  return { ...gone, standby: { ...existing, logEnds: new Map(ends) } }
}
const withFirst = (change: Partial<DeletedTopic['partitions'][number]>): DeletedTopic => ({
  ...gone,
  partitions: gone.partitions.map((each, index) => (index === 0 ? { ...each, ...change } : each)),
})
const [first] = gone.partitions
const position = first?.position ?? tablePosition
const unknown = { kind: 'unknown', detail: 'no answer' } as const

const doubts: Record<string, readonly [DeletedTopic, RegExp]> = {
  'the deletion was seen less than a day ago': [
    { ...gone, deletedAtMs: nowMs - deletionKeptMs + 1 },
    /for 1 more hours/,
  ],
  'no incident says that the topic was deleted': [{ ...gone, deletedAtMs: null }, /incident/],
  'a broker of the source knows the id': [{ ...gone, source: { kind: 'exists' } }, /still knows/],
  'a broker of the source does not answer': [{ ...gone, source: unknown }, /no answer/],
  'no other topic proves which cluster the source is': [
    { ...gone, isKnownSource: false },
    /another cluster/,
  ],
  'its partitions are of two source topics': [
    withFirst({ position: { ...position, sourceTopicId: 'another' } }),
    /several topics/,
  ],
  'a run holds a partition': [withFirst({ isLeased: true }), /run holds/],
  'the standby does not answer': [{ ...gone, standby: unknown }, /no answer/],
  'a broker of the standby may have it': [
    { ...gone, standby: { kind: 'missing', byId: unknown } },
    /may still have it/,
  ],
  'the standby topic has another id': [
    withFirst({ position: { ...position, targetTopicId: 'another' } }),
    /id differs/,
  ],
  'an application wrote behind the copied records': [
    withEnds([0, end + 1n], [1, 0n]),
    /applications may have written/,
  ],
  'the standby has fewer records than were copied': [withEnds([0, end - 1n], [1, 0n]), /ends at/],
  'an application wrote to a partition that was never copied': [
    withEnds([0, end], [1, 0n], [2, 5n]),
    /partition 2 ends at 5/,
  ],
  'a log end is not known': [withEnds([0, null], [1, 0n]), /not known/],
  'a partition is missing on the standby': [withEnds([0, end]), /did not list/],
  'an incident that has ended says that foreign records lie among the copied ones': [
    withFirst({ hadForeignRecords: true }),
    /applications have written/,
  ],
  'foreign records shifted the offsets of the copied ones': [
    withFirst({
      position: {
        ...position,
        sameOffsets: {
          distance: 1n,
          since: sourceOffset(5n),
          atMs: nowMs,
          reason: 'foreign-records',
        },
      },
    }),
    /applications have written/,
  ],
  'foreign records were seen among the copied ones': [
    withFirst({
      position: {
        ...position,
        drift: {
          expectedOffset: end,
          foundOffset: end,
          lastFoundOffset: end,
          foreignRecords: 1n,
          isCounted: true,
        },
      },
    }),
    /applications have written/,
  ],
}

for (const [doubt, [topic, reason]] of Object.entries(doubts)) {
  test(`the standby topic is kept when ${doubt}`, () => {
    expect(decideDeletion(topic, nowMs)).toEqual({
      kind: 'keep',
      reason: expect.stringMatching(reason),
    })
  })
}
