// Owns adopting what consumer groups have committed on the target: gapless counts these offsets as
// its own from now on, and may move them. A fail-over decided that the applications of the other
// side are the ones that count, so an offset here is an old one, whoever committed it. Does not own
// when that is so (run/failback).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupsPerRequestMax } from '../../core/config/defaults.ts'
import { selects, sourceTopicName } from '../../core/config/topic-selection.ts'
import { covers, type Topics } from '../../core/failover/flow-failover.ts'
import { anyLaterOffset, targetOffset } from '../../core/offset.ts'
import { type GroupRow, type OwnAt, readOffsets, writeOffsets } from '../../core/row/group-row.ts'
import type { GroupOffsets } from '../../io/admin/group-admin.ts'
import type { Clock } from '../../io/clock.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { readSourceGroups } from './source-groups.ts'
import type { GroupSyncDeps } from './sync-groups.ts'

/**
 * Writes the rows of the groups of a flow anew for these topics of the source. What the rows say
 * of other topics stays, because gapless has gone on with those. Throws `BrokerFailure` when a
 * cluster does not answer, and `ReplicatorError` when the table does not, or another command
 * writes the same rows.
 */
export async function adoptGroups(
  deps: GroupSyncDeps & { readonly clock: Clock },
  flow: FlowConfig,
  topics: Topics,
): Promise<void> {
  const { rows } = await deps.groupRows.list(flow.name)
  const rowOf = new Map(rows.map(each => [each.group, each]))
  const { groups } = await readSourceGroups(deps, flow, [...rowOf.keys()])
  const names = groups.filter(each => each.problem === null).map(each => each.group)
  for (let from = 0; from < names.length; from += groupsPerRequestMax) {
    const read = await deps.targetGroups.readOffsets(names.slice(from, from + groupsPerRequestMax))
    for (const each of read) {
      await adopt(deps, flow, { read: each, row: rowOf.get(each.group) ?? null, topics })
    }
  }
}

async function adopt(
  { groupRows, clock }: GroupSyncDeps & { readonly clock: Clock },
  flow: FlowConfig,
  by: {
    readonly read: GroupOffsets
    readonly row: GroupRow | null
    readonly topics: Topics
  },
): Promise<void> {
  const { read, row, topics } = by
  // A group whose offsets may not be read is left alone, as by every tick.
  if (read.kind === 'refused') return
  const nowMs = clock.nowMs()
  const owns = read.offsets.flatMap(({ topic: targetTopic, partition, offset }): OwnAt[] => {
    const topic = sourceTopicName(flow, targetTopic)
    if (topic === null || !selects(flow, topic) || !covers(topics, topic)) return []
    // As if it were the place of a later offset of the source: the group may go back from there.
    const own = { sourceOffset: anyLaterOffset, targetOffset: targetOffset(offset) }
    return [{ topic, partition, own: [{ ...own, committedAtMs: nowMs }] }]
  })
  if (owns.length === 0) return
  const { group } = read
  const others = readOffsets(row?.text ?? '').filter(({ topic }) => !covers(topics, topic))
  const text = writeOffsets([...others, ...owns])
  const key = { flow: flow.name, group, version: row?.version ?? 0 }
  const written = await groupRows.write({ ...key, text, nowMs })
  if (written === 'written') return
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `The row of group ${group} of flow ${flow.name} was written by another command just now`,
    hint: 'Run the command again: it goes on where it stopped',
  })
}
