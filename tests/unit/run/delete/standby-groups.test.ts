// Which committed offsets go with a standby topic: all that can be read, and none is assumed where
// one cannot.

import { expect, test } from 'vitest'
import { groupOffsetsNamedMax } from '../../../../lib/core/sync/deletion-limits.ts'
import type { GroupOffsets, ListedGroup } from '../../../../lib/io/admin/group-admin.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'
import {
  readStandbyOffsets,
  standbyOffsetsText,
} from '../../../../lib/run/delete/standby-groups.ts'

const failure = new BrokerFailure({ reason: 'unreachable', cluster: 'standby', detail: 'broker 2' })

const listed = (group: string, type = 'classic'): ListedGroup => {
  return { group, type, protocolType: 'consumer', state: 'Empty' }
}
const read = (group: string, ...at: [topic: string, partition: number, offset: bigint][]) => ({
  ...{ group, kind: 'read' as const },
  offsets: at.map(([topic, partition, offset]) => ({ topic, partition, offset, metadata: null })),
})

function adminOf(
  groups: readonly ListedGroup[],
  answers: readonly GroupOffsets[],
  failures: readonly BrokerFailure[] = [],
) {
  const asked: string[][] = []
  return {
    asked,
    listGroups: async () => ({ groups, failures }),
    readOffsets: async (names: readonly string[]) => {
      asked.push([...names])
      return answers.filter(each => names.includes(each.group))
    },
  }
}

test('the offsets of every group for the topic are read, and those of share groups and other topics are not there', async () => {
  const admin = adminOf(
    [listed('b'), listed('a', 'consumer'), listed('shared', 'share')],
    [read('b', ['p.t', 1, 8n], ['p.t', 0, 7n], ['other', 0, 1n]), read('a', ['p.t', 0, 5n])],
  )
  const offsets = await readStandbyOffsets(admin, 'p.t')
  expect(offsets).toEqual({
    kind: 'read',
    named: [
      { group: 'a', partition: 0, offset: 5n },
      { group: 'b', partition: 0, offset: 7n },
      { group: 'b', partition: 1, offset: 8n },
    ],
    count: 3,
  })
  expect(admin.asked).toEqual([['b', 'a']])
  if (offsets.kind === 'read') expect(standbyOffsetsText(offsets)).toBe('a:0@5, b:0@7, b:1@8')
})

test('the first of many offsets are named, and all are counted', async () => {
  const many = Array.from({ length: groupOffsetsNamedMax + 2 }, (_, partition) => {
    return ['p.t', partition, 1n] as [string, number, bigint]
  })
  const offsets = await readStandbyOffsets(adminOf([listed('g')], [read('g', ...many)]), 'p.t')
  if (offsets.kind !== 'read') throw new Error(offsets.detail)
  expect(offsets.named).toHaveLength(groupOffsetsNamedMax)
  expect(offsets.count).toBe(many.length)
  expect(standbyOffsetsText(offsets)).toMatch(/, and 2 more$/)
})

test('a group that ended meanwhile has none', async () => {
  const gone = { group: 'g', kind: 'refused' as const, errorName: 'GROUP_ID_NOT_FOUND' }
  const offsets = await readStandbyOffsets(adminOf([listed('g')], [gone]), 'p.t')
  expect(offsets).toEqual({ kind: 'read', named: [], count: 0 })
})

test('nothing is known where a broker, a group or the whole cluster does not answer', async () => {
  const refused = { group: 'g', kind: 'refused' as const, errorName: 'NOT_COORDINATOR' }
  const silent = { ...adminOf([], []), listGroups: () => Promise.reject(failure) }
  const unknown = (detail: string) => ({
    kind: 'unknown',
    detail: expect.stringContaining(detail),
  })
  expect(await readStandbyOffsets(adminOf([], [], [failure]), 'p.t')).toEqual(unknown('broker 2'))
  expect(await readStandbyOffsets(adminOf([listed('g')], [refused]), 'p.t')).toEqual(
    unknown('group g: NOT_COORDINATOR'),
  )
  expect(await readStandbyOffsets(silent, 'p.t')).toEqual(unknown('broker 2'))
})
