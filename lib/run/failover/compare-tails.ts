// Owns the proof behind a planned fail-over: the last records of both logs of a partition are the
// same, and between the last copied record and our fence there is nothing else. Reads both logs,
// writes nothing. Does not own what follows from a difference (failover.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { comparedTailOffsets, tailsInFlightMax } from '../../core/config/defaults.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { concurrently } from '../concurrently.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import { type OffsetRange, printsOf } from '../translate/log-records.ts'
import { logOf, readAll, type TailDeps } from './compare-ends.ts'
import type { SeenPartition } from './look.ts'

export type CompareDeps = TailDeps & {
  /**
   * The first offset of the source that this flow copied; left out, or null: the log start. In
   * front of it the two logs need not be the same.
   */
  readonly copiedFrom?: ((at: TopicPartition) => bigint | null) | undefined
}

/** The differences, one sentence each; empty: every tail is the same. */
export async function compareTails(
  deps: CompareDeps,
  flow: FlowConfig,
  partitions: readonly SeenPartition[],
): Promise<readonly string[]> {
  const found: string[] = []
  await concurrently(partitions, tailsInFlightMax, async each => {
    const difference = await compareTail(deps, flow, each)
    if (difference !== null) found.push(`${partitionName(each)}: ${difference}`)
  })
  return found.sort()
}

async function compareTail(
  deps: CompareDeps,
  flow: FlowConfig,
  seen: SeenPartition,
): Promise<string | null> {
  const { state, sourceLog, targetLog } = seen
  if (state?.kind !== 'failed-over') return 'it was not fenced'
  const position = positionOf(state)
  if (position === null) return null
  if (sourceLog.kind !== 'seen' || targetLog.kind !== 'seen') return 'a log was not seen'
  const end = pointOf(sourceLog, 'log-end')
  if (position.nextSourceOffset !== end) {
    return `the source ends at ${end}, and the standby has everything below ${position.nextSourceOffset} only`
  }
  const { nextTargetOffset, sourceTopicId, targetTopicId } = position
  const isSame = sourceTopicId === sourceLog.topicId && targetTopicId === targetLog.topicId
  if (!isSame) return 'one of the topics was recreated'
  const onSource = logOf(deps, flow, seen, 'source')
  const onTarget = logOf(deps, flow, seen, 'standby')
  const behind = { from: nextTargetOffset, to: state.standbyEnd ?? nextTargetOffset }
  const [wanted, copied, more] = await Promise.all([
    readAll(onSource, tailOf(sourceLog, end, deps.copiedFrom?.(seen) ?? 0n)),
    readAll(onTarget, tailOf(targetLog, nextTargetOffset, 0n)),
    readAll(onTarget, behind),
  ])
  if (more.length > 0) return `${more.length} records of others are on the standby behind the copy`
  // Holes make the two windows hold different numbers of records.
  const length = Math.min(wanted.length, copied.length)
  const withTime = copied.every(each => each.createTime !== null)
  const last = (records: typeof wanted) =>
    printsOf(records.slice(records.length - length), withTime).map(each => each.print)
  const [left, right] = [last(wanted), last(copied)]
  const differing = left.filter((print, index) => print !== right[index]).length
  return differing === 0 ? null : `${differing} of the last ${length} records differ`
}

function tailOf(log: SeenLog, to: bigint, first: bigint): OffsetRange {
  const starts = [to - comparedTailOffsets, pointOf(log, 'log-start'), first]
  return { from: starts.reduce((latest, each) => (each > latest ? each : latest)), to }
}
