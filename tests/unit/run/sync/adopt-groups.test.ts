// What groups have committed on the target counts as ours once a fail-over has decided so, for the
// topics that it was about and for no other.

import { expect, test } from 'vitest'
import type { Topics } from '../../../../lib/core/failover/flow-failover.ts'
import { anyLaterOffset, sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { type OwnAt, readOffsets, writeOffsets } from '../../../../lib/core/row/group-row.ts'
import { createGroupStore } from '../../../../lib/io/sync/group-store.ts'
import { adoptGroups } from '../../../../lib/run/sync/adopt-groups.ts'
import { textAfter } from '../../../../lib/run/sync/looked-group.ts'
import { createMemoryDynamoDb } from '../../../support/table/memory-dynamodb.ts'
import { createRows } from '../../../support/table/memory-rows.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

const flow = flowOf({ topics: ['moved', 'stayed'], naming: 'identity' })
const group = 'billing'
const nowMs = 1_700_000_000_000
const committed = (topic: string, offset: bigint) => ({
  ...{ topic, partition: 0, offset, metadata: null },
})
const ownOf = (topic: string, at: bigint): OwnAt => {
  const own = { sourceOffset: sourceOffset(at), targetOffset: targetOffset(at) }
  return { topic, partition: 0, own: [{ ...own, committedAtMs: nowMs }] }
}

/** A row that says 10 of both topics, where a group stands at 40 of both on the target. */
async function adopted(topics: Topics) {
  const groupRows = createGroupStore(createMemoryDynamoDb(createRows()), 'memory')
  const text = writeOffsets([ownOf('moved', 10n), ownOf('stayed', 10n)])
  await groupRows.write({ flow: flow.name, group, version: 0, text, nowMs })
  const readOffsetsOf = (offset: bigint) => async () => [
    {
      ...{ group, kind: 'read' as const },
      offsets: ['moved', 'stayed'].map(topic => committed(topic, offset)),
    },
  ]
  const listGroups = async () => ({
    groups: [{ group, type: 'classic', protocolType: '', state: 'Empty' }],
    failures: [],
  })
  const deps = {
    source: { name: 'primary', describeTopics: async () => [], principal: () => null },
    sourceGroups: { listGroups, readOffsets: readOffsetsOf(20n) },
    targetGroups: { readOffsets: readOffsetsOf(40n) },
    ...{ groupRows, clock: { nowMs: () => nowMs } },
  } as unknown as Parameters<typeof adoptGroups>[0]
  await adoptGroups(deps, flow, topics)
  const [row] = (await groupRows.list(flow.name)).rows
  const own = readOffsets(row?.text ?? '').map(each => [each.topic, each.own.at(-1)] as const)
  return Object.fromEntries(own)
}

const taken = { sourceOffset: anyLaterOffset, targetOffset: 40n }
const left = { sourceOffset: 10n, targetOffset: 10n }

test('offsets on the target are adopted, and a group may go back from there', async () => {
  expect(await adopted(null)).toMatchObject({ moved: taken, stayed: taken })
})

test('what the row of a group says of topics that did not move stays as it is', async () => {
  expect(await adopted(['moved'])).toMatchObject({ moved: taken, stayed: left })
})

test('a tick that leaves a topic alone keeps what the row says of its offsets', () => {
  const text = writeOffsets([ownOf('moved', 10n), ownOf('stayed', 10n)])
  const row = { flow: flow.name, group, version: 1, writtenAtMs: nowMs, text }
  // Nothing of a topic that has failed over is among what changed.
  expect(readOffsets(textAfter(row, { changed: [], nowMs }))).toEqual(readOffsets(text))
})
