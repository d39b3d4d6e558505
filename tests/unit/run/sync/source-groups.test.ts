// Which groups of the source a tick is about: those that are selected and have offsets of the
// flow's topics, and those of which it must be said why they do not follow.

import { expect, test } from 'vitest'
import { groupIdBytesMax } from '../../../../lib/core/config/defaults.ts'
import type { GroupAdmin, GroupOffsets } from '../../../../lib/io/admin/group-admin.ts'
import type { Cluster } from '../../../../lib/io/cluster/cluster.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'
import { readSourceGroups } from '../../../../lib/run/sync/source-groups.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

const offset = (topic: string) => ({ topic, partition: 0, offset: 5n, metadata: null })

/** `offsets` by group: of which topics, or the error of a refusal. */
function deps(
  listed: Readonly<Record<string, string>>,
  offsets: Readonly<Record<string, readonly string[] | string>>,
) {
  const asked: string[] = []
  const sourceGroups: Pick<GroupAdmin, 'listGroups' | 'readOffsets'> = {
    listGroups: async () => ({
      groups: Object.entries(listed).map(([group, type]) => {
        return { group, type, protocolType: '', state: 'Empty' }
      }),
      failures: [
        new BrokerFailure({ reason: 'unreachable', cluster: 'primary', detail: 'no answer' }),
      ],
    }),
    readOffsets: async groups => {
      asked.push(...groups)
      return groups.map((group): GroupOffsets => {
        const found = offsets[group] ?? []
        if (typeof found === 'string') return { group, kind: 'refused', errorName: found }
        return { group, kind: 'read', offsets: found.map(offset) }
      })
    },
  }
  const describeTopics: Cluster['describeTopics'] = async () => []
  const source = { name: 'primary', describeTopics, principal: () => 'User:gapless' }
  return {
    asked,
    deps: { source, sourceGroups } as unknown as Parameters<typeof readSourceGroups>[0],
  }
}

test('groups with offsets of the flow follow, each with those alone, and brokers that did not answer are named', async () => {
  const world = deps(
    { orders: 'consumer', other: 'classic', 'connect-x': 'classic' },
    { orders: ['a', 'foreign'], other: ['foreign'] },
  )
  const found = await readSourceGroups(world.deps, flowOf({ topics: ['a'] }), [])
  expect(found.groups).toEqual([
    { group: 'orders', type: 'consumer', offsets: [offset('a')], problem: null, note: null },
  ])
  expect(found.unobserved).toEqual([expect.stringMatching(/^primary: .*no answer/)])
  expect(world.asked).toEqual(['orders', 'other'])
})

test('a share group, and a group whose id fits no row, are named and not asked for', async () => {
  const long = 'x'.repeat(groupIdBytesMax + 1)
  const world = deps({ shared: 'share', [long]: 'classic' }, {})
  const { groups } = await readSourceGroups(world.deps, flowOf(), [])
  expect(groups.map(each => [each.group, each.problem])).toEqual([
    ['shared', expect.stringContaining('share group')],
    [long, expect.stringContaining('1000 bytes')],
  ])
  expect(world.asked).toEqual([])
})

test('a group that the listing lacks is asked for when it is named, or was synced before, so that denied is told from gone', async () => {
  const flow = flowOf({ topics: ['a'], groups: ['named', 'empty', '/.*/'] })
  const denied = 'GROUP_AUTHORIZATION_FAILED'
  const world = deps({}, { named: denied, known: denied })
  const { groups } = await readSourceGroups(world.deps, flow, ['known', 'gone', 'connect-known'])
  expect(groups.map(each => [each.group, each.problem])).toEqual([
    ['empty', 'the group has committed nothing on primary'],
    ['known', expect.stringContaining("--operation Describe --group 'known'")],
    ['named', expect.stringContaining("--operation Describe --group 'named'")],
  ])
})
