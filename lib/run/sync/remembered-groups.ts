// Owns what is known of consumer groups while the source does not answer: the offsets that were
// carried over, by the table, and whether they are still the ones on the standby. Commits nothing.

import type { FlowConfig } from '../../core/config/config.ts'
import { selects, targetTopicName } from '../../core/config/topic-selection.ts'
import { sourceOffset, targetOffset } from '../../core/offset.ts'
import { type GroupRow, type OwnAt, readOffsets } from '../../core/row/group-row.ts'
import { selectsGroup } from '../../core/sync/group-selection.ts'
import type { SyncState } from '../../core/sync/group-state.ts'
import { ownAt } from '../../core/sync/own-offsets.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { GroupAdmin, GroupOffsets } from '../../io/admin/group-admin.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { GroupReport } from './looked-group.ts'

type Deps = { readonly source: Pick<Cluster, 'name'>; readonly targetGroups: GroupAdmin }

/** The reports of all groups that were carried over. Throws `BrokerFailure` for the standby. */
export async function rememberedGroups(
  { source, targetGroups }: Deps,
  flow: FlowConfig,
  rows: readonly GroupRow[],
  isActive: (group: string) => boolean,
): Promise<GroupReport[]> {
  const known = rows.filter(each => selectsGroup(flow, each.group))
  const read = await targetGroups.readOffsets(known.map(each => each.group))
  return known.flatMap((row, index) =>
    readOffsets(row.text)
      .filter(each => selects(flow, each.topic))
      .map(each => {
        const topic = targetTopicName(flow, each.topic)
        const standby = offsetOf(read[index], { topic, partition: each.partition })
        return remembered({ group: row.group, at: each, standby }, source.name, isActive(row.group))
      }),
  )
}

function offsetOf(
  read: GroupOffsets | undefined,
  at: { readonly topic: string; readonly partition: number },
): bigint | null {
  if (read?.kind !== 'read') return null
  return read.offsets.find(each => partitionName(each) === partitionName(at))?.offset ?? null
}

function remembered(
  known: { readonly group: string; readonly at: OwnAt; readonly standby: bigint | null },
  source: string,
  isActive: boolean,
): GroupReport {
  const { group, at, standby } = known
  const there = standby === null ? null : targetOffset(standby)
  const seen = there === null ? null : ownAt(at.own, there)
  const carried = seen ?? at.own.at(-1) ?? null
  const { state, reason } = stateOf({ isActive, isOurs: seen !== null, isThere: there !== null })
  const since = carried === null ? '' : new Date(carried.committedAtMs).toISOString()
  const later = `carried over at ${since}; what the group committed there later is read again`
  return {
    ...{ group, type: 'unknown', topic: at.topic, partition: at.partition, state },
    sourceOffset: carried === null ? null : sourceOffset(carried.sourceOffset),
    ...{ standbyOffset: there, recordsReread: null, recordsMissing: null },
    isPassing: false,
    reason: `${source} does not answer: ${reason ?? later}`,
  }
}

function stateOf(about: {
  readonly isActive: boolean
  readonly isOurs: boolean
  readonly isThere: boolean
}): { readonly state: SyncState; readonly reason: string | null } {
  if (about.isActive) return { state: 'active', reason: 'the group has members on the standby' }
  if (about.isOurs) return { state: 'synced', reason: null }
  if (about.isThere) return { state: 'moved', reason: 'another client committed on the standby' }
  return { state: 'not-synced', reason: 'nothing is committed on the standby' }
}
