// What a person reads of consumer groups: a line of the table for each partition, each reason once,
// and an exit code that says whether every group follows.

import { expect, test } from 'vitest'
import { groupsExitCode, renderGroups } from '../../../cli/commands/groups.ts'
import type { GroupReport, GroupsReport } from '../../../lib/run/operate/groups-report.ts'

const synced: GroupReport = {
  ...{ group: 'orders', type: 'consumer', topic: 'payments', partition: 0 },
  ...{ sourceOffset: '120', standbyOffset: '100', recordsReread: '0', recordsMissing: '7' },
  ...{ state: 'synced', reason: null },
}
const moved: GroupReport = { ...synced, partition: 1, state: 'moved', reason: 'another client' }
const share: GroupReport = {
  ...{ group: 'shared', type: 'share', topic: null, partition: null },
  ...{ sourceOffset: null, standbyOffset: null, recordsReread: null, recordsMissing: null },
  ...{ state: 'not-synced', reason: 'a share group' },
}
const reportOf = (groups: readonly GroupReport[], unobserved: string[] = []): GroupsReport => {
  return { flows: [{ name: 'flow', groups, unobserved }] }
}

test('a table has each partition with both offsets, and below it each reason once', async () => {
  const text = await renderGroups(reportOf([synced, moved, { ...moved, partition: 2 }, share]))
  const lines = text.split('\n')
  expect(lines[0]).toBe('flow: 2 groups; partitions: 1 synced, 2 moved, 1 not-synced')
  expect(text).toMatch(/orders .*consumer .*payments:0 .*synced .*120 .*100 .*0 .*7/)
  expect(lines.filter(each => each === 'orders: moved, another client')).toHaveLength(1)
  expect(text).toContain('shared: not-synced, a share group')
})

test('a flow without groups says so, and not when it could not look', async () => {
  expect(await renderGroups(reportOf([]))).toBe(
    'flow: no consumer group has committed an offset, or may be described',
  )
  expect(await renderGroups(reportOf([], ['what']))).toBe('flow: unknown')
})

test('the exit code is 0 when every group follows, or is used on the standby', () => {
  const codes = (['synced', 'beyond', 'active', 'moved', 'not-synced'] as const).map(state =>
    groupsExitCode(reportOf([{ ...synced, state }])),
  )
  expect(codes).toEqual([0, 0, 0, 1, 1])
  expect(groupsExitCode(reportOf([]))).toBe(0)
  expect(groupsExitCode(reportOf([synced], ['what']))).toBe(1)
})
