// Owns what a tick knows of a consumer group once everything was read, and what its row holds
// afterwards. Sends no request. Does not own the decision (core/sync/group-offset.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupRowDays } from '../../core/config/defaults.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import {
  type SourceOffset,
  sourceOffset,
  type TargetOffset,
  targetOffset,
} from '../../core/offset.ts'
import { type GroupRow, type OwnAt, readOffsets, writeOffsets } from '../../core/row/group-row.ts'
import { decideGroupOffset, type GroupDecision } from '../../core/sync/group-offset.ts'
import {
  type GroupPosition,
  type Shown,
  type SyncOutcome,
  showGroup,
} from '../../core/sync/group-state.ts'
import { isUnsettled, type OwnOffsets, ownAt, withIntended } from '../../core/sync/own-offsets.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { CommittedOffset } from '../../io/admin/group-admin.ts'
import type { GroupPlaces } from './group-places.ts'
import type { SourceGroup } from './source-groups.ts'

/** What people are told of a partition of a group; of the group alone where it has no offsets. */
export type GroupReport = Shown & {
  readonly group: string
  readonly type: string
  readonly topic: string | null
  readonly partition: number | null
  readonly sourceOffset: SourceOffset | null
  readonly standbyOffset: TargetOffset | null
}

/** One partition of a group. */
export type Looked = {
  readonly source: CommittedOffset
  readonly targetTopic: string
  readonly position: GroupPosition
  readonly own: OwnOffsets
  readonly decision: GroupDecision
  /** What is ours once the row is written; `own` where nothing of it changes. */
  readonly ownAfter: OwnOffsets
}

export function lookAtGroup(
  flow: FlowConfig,
  input: {
    readonly group: SourceGroup
    readonly standby: readonly CommittedOffset[]
    readonly row: GroupRow | null
    readonly isActive: boolean
    readonly places: GroupPlaces
    readonly nowMs: number
  },
): Looked[] {
  const { group, places, isActive, nowMs } = input
  const known = readOffsets(input.row?.text ?? '')
  const owns = new Map(known.map(each => [partitionName(each), each.own]))
  const standby = new Map(input.standby.map(each => [partitionName(each), each]))
  return group.offsets.map(source => {
    const targetTopic = targetTopicName(flow, source.topic)
    const there = standby.get(partitionName({ ...source, topic: targetTopic }))
    const own = owns.get(partitionName(source)) ?? []
    const logs = places.logsOf(source)
    const place = places.placeOf(source, source.offset)
    const position: GroupPosition = {
      source: sourceOffset(source.offset),
      standby: there === undefined ? null : targetOffset(there.offset),
      place,
      logs,
    }
    const synced = ownAt(own, position.standby)
    const decision = decideGroupOffset(
      {
        source: position.source,
        standby: position.standby,
        isMetadataSame: (there?.metadata ?? '') === (source.metadata ?? ''),
        isActive,
        synced,
        translated: place.kind === 'unknown' || logs === null ? null : place.targetOffset,
        standbyLog: logs?.standby ?? emptyLog,
      },
      nowMs,
    )
    const ownAfter = ownAfterwards(own, synced, decision)
    return { source, targetTopic, position, own, decision, ownAfter }
  })
}

/** Nothing is translated where the log is not known. */
const emptyLog = { start: targetOffset(0n), end: targetOffset(0n) }

function ownAfterwards(
  own: OwnOffsets,
  seen: OwnOffsets[number] | null,
  decision: GroupDecision,
): OwnOffsets {
  switch (decision.kind) {
    case 'commit':
      return withIntended(own, seen, decision.synced)
    case 'keep':
      if (decision.synced !== null) return [decision.synced]
      return isUnsettled(own, seen) && seen !== null ? [seen] : own
    case 'left':
      return own
  }
}

const dayMs = 24 * 60 * 60 * 1000

/**
 * The text of the row with `changed` in it. A partition without an offset on the source stays for
 * as long as its offset on the standby may, because the group may come back to it; one that this
 * tick leaves alone, because its topic has failed over, comes back with the fail-back.
 */
export function textAfter(
  row: GroupRow | null,
  { changed, nowMs }: { readonly changed: readonly Looked[]; readonly nowMs: number },
): string {
  const keptMs = groupRowDays * dayMs
  const known = readOffsets(row?.text ?? '').filter(
    ({ own }) => nowMs - (own.at(-1)?.committedAtMs ?? 0) < keptMs,
  )
  const after = new Map<string, OwnAt>(known.map(each => [partitionName(each), each]))
  for (const { source, ownAfter: own } of changed) {
    const { topic, partition } = source
    after.set(partitionName(source), { topic, partition, own })
  }
  return writeOffsets([...after.values()])
}

/** `outcome` left out: nothing was tried. */
export function reportLooked(
  { group, type, note }: SourceGroup,
  { source, position, decision }: Looked,
  outcome: SyncOutcome = { kind: 'decided', decision },
): GroupReport {
  const isCommitted = outcome.kind === 'committed' && decision.kind === 'commit'
  const standby = isCommitted ? decision.synced.targetOffset : position.standby
  const shown = showGroup({ ...position, standby }, outcome)
  const { topic, partition } = source
  return {
    group,
    type,
    topic,
    partition,
    sourceOffset: position.source,
    standbyOffset: standby,
    ...shown,
    reason: shown.reason ?? note,
  }
}

export function reportProblem({ group, type }: SourceGroup, reason: string): GroupReport {
  const nothing = { topic: null, partition: null, sourceOffset: null, standbyOffset: null }
  const unknown = { recordsReread: null, recordsMissing: null }
  return { group, type, ...nothing, ...unknown, state: 'not-synced', reason, isPassing: false }
}
