// Owns reading what both logs of a partition hold since the two parted, for a fail-back: a window
// of offsets at a time, so that a long tail needs no memory. Writes nothing. Does not own what
// follows (core/failover/way-back.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { patientFetchBytes, tailWindowOffsets } from '../../core/config/defaults.ts'
import { type WayBack, wayBack } from '../../core/failover/way-back.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { OnePartition } from '../compare/partition-reader.ts'
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

/** What a fail-back does for one partition. */
export type PartitionWayBack = TopicPartition & { readonly targetTopic: string } & (
    | ({
        /** Travels back from `from` on, behind everything that the old source has. */
        readonly kind: 'behind'
        readonly standbyTopicId: string
        readonly sourceTopicId: string
        readonly sourceEnd: bigint
      } & WayBack)
    /** The old source has no such topic, or an empty one: everything travels back. */
    | { readonly kind: 'whole' }
    /** The standby never had it: nothing travels back. */
    | { readonly kind: 'nothing' }
    | { readonly kind: 'refused'; readonly why: string }
  )

/** Throws `BrokerFailure` when a log cannot be read. */
export async function findWayBack(
  deps: TailDeps,
  flow: FlowConfig,
  seen: SeenPartition,
): Promise<PartitionWayBack> {
  const { topic, partition, targetTopic, state, sourceLog, targetLog } = seen
  const at = { topic, partition, targetTopic }
  const refused = (why: string) => ({ ...at, kind: 'refused' as const, why })
  if (state?.kind !== 'failed-over') return refused(`is ${state?.kind ?? 'not readable'} here`)
  if (sourceLog.kind === 'unobserved') return refused(sourceLog.detail)
  if (targetLog.kind === 'unobserved') return refused(targetLog.detail)
  const { standbyEnd } = state
  if (targetLog.kind === 'missing' || standbyEnd === null) return { ...at, kind: 'nothing' }
  if (sourceLog.kind === 'missing') return { ...at, kind: 'whole' }
  const position = positionOf(state)
  const sourceEnd = pointOf(sourceLog, 'log-end')
  const isSame = position === null || position.sourceTopicId === sourceLog.topicId
  if (!isSame && sourceEnd === 0n) return { ...at, kind: 'whole' }
  if (!isSame) return refused('was recreated on the old source, and holds records there')
  if (position !== null && position.targetTopicId !== targetLog.topicId) {
    return refused(`was recreated on the standby (${targetTopic}) since it failed over`)
  }
  const next = position?.nextSourceOffset ?? pointOf(sourceLog, 'log-start')
  if (next > sourceEnd) {
    return refused(
      `ends at ${sourceEnd} on the old source, which has lost records that the standby has`,
    )
  }
  const behind = position?.nextTargetOffset ?? pointOf(targetLog, 'log-start')
  const onSource = await readAll(logOf(deps, flow, seen, 'source'), { from: next, to: sourceEnd })
  const onStandby = await readAll(logOf(deps, flow, seen, 'standby'), {
    from: behind,
    to: standbyEnd,
  })
  const withTime = onStandby.every(each => each.createTime !== null)
  return {
    ...at,
    kind: 'behind',
    standbyTopicId: targetLog.topicId,
    sourceTopicId: sourceLog.topicId,
    sourceEnd,
    ...wayBack({
      onSource: printsOf(onSource, withTime),
      onStandby: printsOf(onStandby, withTime),
      standbyEnd,
    }),
  }
}

/** The records of the old source that never travelled, a window of offsets at a time. */
export async function* divergentRecords(
  deps: TailDeps,
  flow: FlowConfig,
  on: { readonly seen: SeenPartition; readonly range: OffsetRange },
): AsyncGenerator<readonly ReadRecord[]> {
  yield* windows(logOf(deps, flow, on.seen, 'source'), on.range)
}

type ReadLog = OnePartition & { readonly side: 'source' | 'standby' }

/** The records of a part of one log; see `windows`. */
export async function readAll(log: ReadLog, range: OffsetRange): Promise<ReadRecord[]> {
  const records: ReadRecord[] = []
  for await (const window of windows(log, range)) records.push(...window)
  return records
}

/**
 * A window is cut in half where its records are too large to be read at once, down to one offset.
 */
async function* windows(
  log: ReadLog,
  { from, to }: OffsetRange,
): AsyncGenerator<readonly ReadRecord[]> {
  const read = log.side === 'source' ? sourceRecords : targetRecords
  let offsets = tailWindowOffsets
  // Ends: each pass moves on, or halves the window.
  for (let at = from; at < to; ) {
    const end = at + offsets < to ? at + offsets : to
    const window = await read(log, { from: at, to: end })
    if (window !== null) {
      yield window
      at = end
    } else if (offsets > 1n) offsets /= 2n
    else {
      const detail = `${partitionName(log)} could not be read from offset ${at} on`
      throw new BrokerFailure({ reason: 'unreachable', cluster: log.cluster.name, detail })
    }
  }
}

/** One of the two logs of a partition that were both seen. */
export function logOf(
  deps: TailDeps,
  flow: FlowConfig,
  seen: SeenPartition,
  side: ReadLog['side'],
): ReadLog {
  const { partition } = seen
  const onSource = side === 'source'
  const log = seenLog(onSource ? seen.sourceLog : seen.targetLog)
  return {
    ...{ side, cluster: onSource ? deps.source : deps.target, clock: deps.clock, partition },
    ...{ topic: onSource ? seen.topic : seen.targetTopic, topicId: log.topicId },
    leader: log.leader,
    fetchBytesMax: patientFetchBytes,
    requestTimeoutMs: flow.budgets.requestTimeoutMs,
  }
}

function seenLog(log: SeenPartition['sourceLog']): SeenLog {
  if (log.kind !== 'seen') throw new Error('a log that was not seen is not read')
  return log
}
