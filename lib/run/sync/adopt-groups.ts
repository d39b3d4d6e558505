// Owns adopting what consumer groups have committed on the target: gapless counts these offsets as
// its own from now on, and may move them. A fail-over decided that the applications of the other
// side are the ones that count, so an offset here is an old one, whoever committed it. Does not own
// when that is so (run/failback).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupsPerRequestMax } from '../../core/config/defaults.ts'
import { selects, sourceTopicName } from '../../core/config/topic-selection.ts'
import { anyLaterOffset, targetOffset } from '../../core/offset.ts'
import { type OwnAt, writeOffsets } from '../../core/row/group-row.ts'
import type { GroupOffsets } from '../../io/admin/group-admin.ts'
import type { Clock } from '../../io/clock.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { readSourceGroups } from './source-groups.ts'
import type { GroupSyncDeps } from './sync-groups.ts'

/**
 * Writes a row for each group of the flow. Throws `BrokerFailure` when a cluster does not answer,
 * and `ReplicatorError` when the table does not, or another command writes the same rows.
 */
export async function adoptGroups(
  deps: GroupSyncDeps & { readonly clock: Clock },
  flow: FlowConfig,
): Promise<void> {
  const { rows } = await deps.groupRows.list(flow.name)
  const versions = new Map(rows.map(each => [each.group, each.version]))
  const { groups } = await readSourceGroups(deps, flow, [...versions.keys()])
  const names = groups.filter(each => each.problem === null).map(each => each.group)
  for (let from = 0; from < names.length; from += groupsPerRequestMax) {
    const read = await deps.targetGroups.readOffsets(names.slice(from, from + groupsPerRequestMax))
    for (const each of read) await adopt(deps, flow, { read: each, versions })
  }
}

async function adopt(
  { groupRows, clock }: GroupSyncDeps & { readonly clock: Clock },
  flow: FlowConfig,
  by: { readonly read: GroupOffsets; readonly versions: ReadonlyMap<string, number> },
): Promise<void> {
  const { read, versions } = by
  // A group whose offsets may not be read is left alone, as by every tick.
  if (read.kind === 'refused') return
  const nowMs = clock.nowMs()
  const owns = read.offsets.flatMap(({ topic: targetTopic, partition, offset }): OwnAt[] => {
    const topic = sourceTopicName(flow, targetTopic)
    if (topic === null || !selects(flow, topic)) return []
    // As if it were the place of a later offset of the source: the group may go back from there.
    const own = { sourceOffset: anyLaterOffset, targetOffset: targetOffset(offset) }
    return [{ topic, partition, own: [{ ...own, committedAtMs: nowMs }] }]
  })
  if (owns.length === 0) return
  const { group } = read
  const row = { flow: flow.name, group, version: versions.get(group) ?? 0 }
  const written = await groupRows.write({ ...row, text: writeOffsets(owns), nowMs })
  if (written === 'written') return
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `The row of group ${group} of flow ${flow.name} was written by another command just now`,
    hint: 'Run the command again: it goes on where it stopped',
  })
}
