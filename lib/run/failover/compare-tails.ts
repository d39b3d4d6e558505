// Owns the proof behind a planned fail-over: the last records of both logs of a partition are the
// same, and between the last copied record and our fence there is nothing else. Reads both logs,
// writes nothing. Does not own what follows from a difference (failover-steps.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { translationFetchBytes } from '../../core/config/defaults.ts'
import { comparedTailOffsets, tailsInFlightMax } from '../../core/config/failover-limits.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { isCompacted } from '../../core/standby/topic-configs.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { newestOfKeys } from '../../core/translate/compacted-tail.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { OnePartition } from '../compare/partition-reader.ts'
import { concurrently } from '../concurrently.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import {
  type OffsetRange,
  printsOf,
  type ReadRecord,
  sourceRecords,
  targetRecords,
} from '../translate/log-records.ts'
import type { SeenPartition } from './look.ts'

export type TailDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly clock: Clock
}

/** The differences, one sentence each; empty: every tail is the same. */
export async function compareTails(
  deps: TailDeps,
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
  deps: TailDeps,
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
  const at = (cluster: Cluster, topic: string, log: SeenLog): OnePartition => ({
    ...{ cluster, clock: deps.clock, topic, partition: seen.partition },
    ...{ topicId: log.topicId, leader: log.leader },
    fetchBytesMax: translationFetchBytes,
    requestTimeoutMs: flow.budgets.requestTimeoutMs,
  })
  const onSource = at(deps.source, seen.topic, sourceLog)
  const onTarget = at(deps.target, seen.targetTopic, targetLog)
  const behind = { from: nextTargetOffset, to: state.standbyEnd ?? nextTargetOffset }
  const windows = {
    source: { start: pointOf(sourceLog, 'log-start'), to: end },
    target: { start: pointOf(targetLog, 'log-start'), to: nextTargetOffset },
  }
  const readBoth = (withKeys: boolean) =>
    Promise.all([
      readTail(range => sourceRecords(onSource, range, { withKeys }), windows.source),
      readTail(range => targetRecords(onTarget, range, 'copies', { withKeys }), windows.target),
    ])
  const [both, more] = await Promise.all([readBoth(false), targetRecords(onTarget, behind, 'all')])
  if (more === null || both.includes(null)) return 'its tail could not be read'
  if (more.length > 0) return `${more.length} records of others are on the standby behind the copy`
  // What lies before the first record that was copied in this generation is no copy.
  const copiedMax = position.copied?.records ?? null
  const difference = differenceOf(both, copiedMax)
  if (difference === null || !(await isCleaned(deps, seen))) return difference
  const keyed = await readBoth(true)
  return differenceOf(keyed.map(newest), copiedMax)
}

type Tail = readonly ReadRecord[] | null

function differenceOf([wanted, copied]: readonly Tail[], copiedMax: bigint | null): string | null {
  if (wanted == null || copied == null) return 'its tail could not be read'
  // Holes make the two windows hold different numbers of records.
  const length = Math.min(wanted.length, copied.length, Number(copiedMax ?? wanted.length))
  const withTime = copied.every(each => each.timed !== null)
  const last = (records: readonly ReadRecord[]) =>
    printsOf(records.slice(records.length - length), withTime).map(each => each.print)
  const [left, right] = [last(wanted), last(copied)]
  const differing = left.filter((print, index) => print !== right[index]).length
  return differing === 0 ? null : `${differing} of the last ${length} records differ`
}

/** What the cleaners of both sides keep: each side compacts on its own. */
function newest(tail: Tail): Tail {
  const keyed = tail?.flatMap(each =>
    each.keyed === undefined ? [] : [{ ...each, ...each.keyed }],
  )
  return keyed === undefined ? null : newestOfKeys(keyed)
}

async function isCleaned(
  { source, target }: TailDeps,
  { topic, targetTopic }: SeenPartition,
): Promise<boolean> {
  const names = ['cleanup.policy']
  const read = await Promise.all([
    source.readTopicConfigs?.([topic], names),
    target.readTopicConfigs?.([targetTopic], names),
  ])
  return isCompacted(read[0]?.get(topic)) || isCompacted(read[1]?.get(targetTopic))
}

/** The last records; fewer where they are so large that they need more fetches than a look has. */
async function readTail(
  read: (range: OffsetRange) => Promise<readonly ReadRecord[] | null>,
  { start, to }: { readonly start: bigint; readonly to: bigint },
): Promise<Tail> {
  for (let offsets = comparedTailOffsets; offsets > 0n; offsets /= 4n) {
    const from = to - offsets
    const records = await read({ from: from > start ? from : start, to })
    if (records !== null) return records
  }
  return null
}
