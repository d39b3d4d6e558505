// The counts over the groups of a tick, and the lines about those that do not follow.

import { expect, test } from 'vitest'
import { createGroupTally } from '../../../../lib/run/sync/group-tally.ts'
import type { GroupReport } from '../../../../lib/run/sync/looked-group.ts'
import { syncMetrics } from '../../../../lib/run/sync/sync-metrics.ts'

const report = (changes: Partial<GroupReport>): GroupReport => ({
  ...{ group: 'g', type: 'classic', topic: 't', partition: 0 },
  ...{ sourceOffset: null, standbyOffset: null, recordsReread: 0n, recordsMissing: 0n },
  ...{ state: 'synced', reason: null, isPassing: false, ...changes },
})
const moved = report({ state: 'moved', reason: 'why', recordsReread: 900n })

test('a group counts once, however many of its partitions do not follow, and its line names the first', () => {
  const tally = createGroupTally(5)
  tally.add([report({}), moved, { ...moved, partition: 1 }])
  tally.add([report({ group: 'h', state: 'active', recordsReread: 800n })])
  tally.add([
    report({ group: 's', state: 'not-synced', topic: null, partition: null, reason: 'no' }),
  ])
  expect(tally.total()).toEqual({
    ...{ groups: 3, groupsUnsynced: 2, lagRecords: 0n },
    lines: ['group g, t-0 and 1 more partitions: moved, why', 'group s: not-synced, no'],
  })
})

test('the lag is that of the group which is worst off, over all its partitions', () => {
  const tally = createGroupTally(5)
  tally.add([report({ recordsReread: 30n }), report({ partition: 1, recordsReread: 40n })])
  tally.add([report({ group: 'h', recordsReread: 60n }), report({ recordsReread: null })])
  expect(tally.total()).toMatchObject({ groupsUnsynced: 0, lagRecords: 70n })
})

test('no more lines than fit, and one that counts the rest', () => {
  const tally = createGroupTally(2)
  for (const group of ['a', 'b', 'c', 'd']) tally.add([{ ...moved, group }])
  expect(tally.total().lines).toEqual([
    ...['group a, t-0: moved, why', 'group b, t-0: moved, why'],
    'and 2 more groups are not synced: gapless groups',
  ])
})

test('a tick that could not look everywhere is an error beside its counts', () => {
  const groups = { groups: 4, groupsUnsynced: 1, lagRecords: 70n, lines: [] }
  const counts = { GroupsUnsynced: 1, GroupLagRecords: 70 }
  expect(syncMetrics({ name: 'f', groups, unobserved: [], followed: null })).toEqual({
    ...counts,
    Errors: 0,
  })
  expect(syncMetrics({ name: 'f', groups, followed: null, unobserved: ['x'] })).toEqual({
    ...counts,
    Errors: 1,
  })
})
