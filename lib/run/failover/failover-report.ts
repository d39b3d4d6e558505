// Owns the JSON of `gapless failover`, a contract (docs/CLI.md): fields are only ever added at the
// end, offsets and counts are decimal strings.

import type { PartitionFailover } from '../../core/failover/failover-plan.ts'
import type { FlowFailover, FlowFailoverKind } from '../../core/failover/flow-failover.ts'
import { isoTime } from '../iso-time.ts'
import type { SyncedGroup } from './plan-failover.ts'

export type FailoverReport = {
  readonly flow: string
  readonly state: FlowFailoverKind
  readonly partitions: readonly PartitionFailoverReport[]
  readonly groups: readonly SyncedGroup[]
  /** `planned`: a dry run. */
  readonly result: 'done' | 'refused' | 'declined' | 'aborted' | 'planned'
  /** Why it was refused or aborted, or would be; one sentence each. */
  readonly problems: readonly string[]
  /** The step in which the flow is; null: in none. */
  readonly step: string | null
}

export type PartitionFailoverReport = {
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  readonly sourceLogEndOffset: string | null
  readonly nextSourceOffset: string | null
  /** At the most; null: not known. */
  readonly recordsMissing: string | null
  /** ISO 8601; null: the source's log was never seen. */
  readonly lastSeenAt: string | null
  readonly notes: readonly string[]
}

export function reportFailover(
  flow: string,
  found: {
    readonly state: FlowFailover
    readonly partitions: readonly PartitionFailover[]
    readonly groups: readonly SyncedGroup[]
    readonly problems: readonly string[]
    readonly kind: FailoverReport['result']
  },
): FailoverReport {
  const { state, groups, problems, kind } = found
  return {
    flow,
    state: state.kind,
    partitions: found.partitions.map(reportPartition),
    groups,
    result: kind,
    problems,
    step: 'step' in state ? state.step : null,
  }
}

function reportPartition(each: PartitionFailover): PartitionFailoverReport {
  const { lastSeenAtMs } = each
  return {
    topic: each.topic,
    partition: each.partition,
    targetTopic: each.targetTopic,
    sourceLogEndOffset: each.sourceLogEndOffset?.toString() ?? null,
    nextSourceOffset: each.nextSourceOffset?.toString() ?? null,
    recordsMissing: each.recordsMissing?.toString() ?? null,
    lastSeenAt: lastSeenAtMs === null ? null : isoTime(lastSeenAtMs),
    notes: each.notes,
  }
}
