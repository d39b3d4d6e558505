// Owns the JSON of `gapless failback`, a contract (docs/CLI.md): fields are only ever added at the
// end, offsets and counts are decimal strings.

import type { FlowFailover, FlowFailoverKind } from '../../core/failover/flow-failover.ts'
import { wayText } from '../../core/failover/way-back-text.ts'
import type { SyncedGroup } from '../failover/plan-failover.ts'
import type { FailbackResult } from './failback.ts'
import type { Returning } from './ways.ts'

export type FailbackReport = {
  readonly flow: string
  readonly state: FlowFailoverKind
  /** Empty unless the fail-back was planned only, refused or declined. */
  readonly partitions: readonly PartitionFailbackReport[]
  readonly groups: readonly SyncedGroup[]
  /** `planned`: a dry run. */
  readonly result: FailbackResult['kind'] | 'planned'
  /** Why it waits or was refused, one sentence each. */
  readonly problems: readonly string[]
  /** The step in which the flow is; null: in none. */
  readonly step: string | null
}

export type PartitionFailbackReport = {
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  readonly way: Returning['way']['kind']
  /** The records of the source that never travelled, `[from, to)`; null where there are none. */
  readonly divergentFrom: string | null
  readonly divergentTo: string | null
  readonly divergentRecords: string | null
  /** In words. */
  readonly detail: string
}

export function reportFailback(
  flow: string,
  found: {
    readonly state: FlowFailover
    readonly returning: readonly ReturningPartition[]
    readonly problems: readonly string[]
    readonly groups: readonly SyncedGroup[]
    readonly kind: FailbackReport['result']
  },
): FailbackReport {
  const { state, returning, problems, groups, kind } = found
  return {
    flow,
    state: state.kind,
    partitions: returning.map(reportReturning),
    groups,
    result: kind,
    problems,
    step: 'step' in state ? state.step : null,
  }
}

type ReturningPartition = Pick<Returning['seen'], 'topic' | 'partition' | 'targetTopic'> &
  Pick<Returning, 'way'>

function reportReturning(each: ReturningPartition): PartitionFailbackReport {
  const { topic, partition, targetTopic, way } = each
  const divergent = way.kind === 'divergent' ? way : null
  return {
    ...{ topic, partition, targetTopic },
    way: way.kind,
    divergentFrom: divergent?.from.toString() ?? null,
    divergentTo: divergent?.to.toString() ?? null,
    divergentRecords: divergent?.records.toString() ?? null,
    detail: wayText(way),
  }
}
