// The last sync of a planned fail-over waits for a group whose members have ended without leaving,
// as long as their session lasts, and for no longer than its limit.

import { expect, test } from 'vitest'
import { lastSyncMsMax } from '../../../../lib/core/config/failover-limits.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { writeOffsets } from '../../../../lib/core/row/group-row.ts'
import { createGroupStore } from '../../../../lib/io/sync/group-store.ts'
import { syncLast } from '../../../../lib/run/failover/last-sync.ts'
import { createMemoryDynamoDb } from '../../../support/table/memory-dynamodb.ts'
import { createRows } from '../../../support/table/memory-rows.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

const flow = flowOf({ topics: ['t'], naming: 'identity' })
const at = { topic: 't', partition: 0 }

/** A group at 20 on the source, whose members on the standby count until `emptyAtMs`. */
async function lastSync(emptyAtMs: number, how: 'planned' | 'unplanned' = 'planned') {
  let nowMs = 0
  let standby = 5n
  const lines: string[] = []
  const read = (offset: bigint) => [
    { group: 'g', kind: 'read', offsets: [{ ...at, offset, metadata: null }] },
  ]
  const listed = (state: string) => ({
    groups: [{ group: 'g', type: 'classic', protocolType: '', state }],
    failures: [],
  })
  const translate = async (_: unknown, offsets: readonly bigint[]) => ({
    ...{ kind: 'translated', targetTopic: 't', sourceEnd: 20n, isSourceSeen: true },
    offsets: offsets.map(each => {
      const places = { sourceOffset: sourceOffset(each), targetOffset: targetOffset(each) }
      return { ...places, kind: 'exact', rereadRecordsMax: 0n }
    }),
    standbyLog: { start: 0n, end: 20n },
    position: { nextSourceOffset: 20n, nextTargetOffset: 20n },
  })
  const groupRows = createGroupStore(createMemoryDynamoDb(createRows()), 'memory')
  const own = { sourceOffset: sourceOffset(5n), targetOffset: targetOffset(5n), committedAtMs: 0 }
  const text = writeOffsets([{ ...at, own: [own] }])
  await groupRows.write({ flow: flow.name, group: 'g', version: 0, text, nowMs })
  const deps = {
    source: { name: 'primary', describeTopics: async () => [], principal: () => null },
    target: { name: 'standby', principal: () => null },
    sourceGroups: { listGroups: async () => listed('Empty'), readOffsets: async () => read(20n) },
    targetGroups: {
      listGroups: async () => listed(nowMs < emptyAtMs ? 'Stable' : 'Empty'),
      readOffsets: async () => read(standby),
      commitOffsets: async (_: string, offsets: { offset: bigint }[]) => {
        standby = offsets[0]?.offset ?? standby
        return offsets.map(each => ({ ...at, ...each, kind: 'committed', errorName: 'NONE' }))
      },
    },
    groupRows,
    openTranslation: async () => ({ translate }),
    log: ({ text }: { text: string }) => lines.push(text),
    clock: {
      nowMs: () => nowMs,
      wait: async (ms: number) => {
        nowMs += ms
      },
    },
  } as unknown as Parameters<typeof syncLast>[0]
  const groups = await syncLast(deps, flow, { topics: null, how })
  return { groups, lines, waitedMs: nowMs, standby: () => standby }
}

test('a group that becomes empty within its session is moved then, and said to be waited for', async () => {
  const { waitedMs, lines, groups } = await lastSync(45_000)

  expect(waitedMs).toBeGreaterThanOrEqual(45_000)
  expect(waitedMs).toBeLessThan(lastSyncMsMax)
  expect(lines).toEqual([
    expect.stringMatching(/^Flow flow: waits for groups on standby.*Group g:/),
  ])
  expect(groups).toMatchObject([{ group: 'g', state: 'synced', standbyOffset: '20' }])
})

test('a group that is used on the standby is left to its members once the limit is over', async () => {
  const { waitedMs, groups, standby } = await lastSync(Number.POSITIVE_INFINITY)

  expect(waitedMs).toBeGreaterThanOrEqual(lastSyncMsMax)
  expect(groups).toMatchObject([{ state: 'active', recordsReread: '15' }])
  expect(standby()).toBe(5n)
})

test('an unplanned fail-over waits for none', async () => {
  expect((await lastSync(45_000, 'unplanned')).waitedMs).toBe(0)
})
