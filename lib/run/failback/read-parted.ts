// Owns reading both logs of a partition from where they parted, for a fail-back: a window of
// offsets at a time. Writes nothing. Does not own what follows (core/failover/parted-logs.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { translationFetchBytes } from '../../core/config/defaults.ts'
import { tailWindowOffsets } from '../../core/config/failover-limits.ts'
import { type Parted, partedLogs } from '../../core/failover/parted-logs.ts'
import type { FailedOverState } from '../../core/failover/way-back.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { OnePartition } from '../compare/partition-reader.ts'
import type { LookDeps, SeenPartition } from '../failover/look.ts'
import { type LogView, pointOf } from '../observe/logs.ts'
import {
  type OffsetRange,
  printsOf,
  type ReadRecord,
  sourceRecords,
  targetRecords,
} from '../translate/log-records.ts'

/** Null where one of the logs was not seen. Throws `BrokerFailure` when one cannot be read. */
export async function readParted(
  deps: LookDeps,
  flow: FlowConfig,
  { seen, state }: { readonly seen: SeenPartition; readonly state: FailedOverState },
): Promise<Parted | null> {
  const { sourceLog, targetLog } = seen
  const { position, standbyEnd } = state
  const [source, standby] = [onSource(deps, flow, seen), onStandby(deps, flow, seen)]
  if (source === null || standby === null || standbyEnd === null) return null
  if (sourceLog.kind !== 'seen' || targetLog.kind !== 'seen') return null
  // Nothing was copied of a source topic that was recreated.
  const isSame = position !== null && position.sourceTopicId === sourceLog.topicId
  const left = isSame ? position : null
  const copiedTo = left?.nextTargetOffset ?? (position === null ? 0n : standbyEnd)
  const [wanted, found] = await Promise.all([
    readAll(source, sourceRecords, {
      from: left?.nextSourceOffset ?? 0n,
      start: pointOf(sourceLog, 'log-start'),
      to: pointOf(sourceLog, 'log-end'),
    }),
    readAll(standby, targetRecords, { from: copiedTo, start: 0n, to: standbyEnd }),
  ])
  const withTime = found.every(each => each.timed !== null)
  return partedLogs({
    onSource: printsOf(wanted, withTime),
    onStandby: printsOf(found, withTime),
    standbyEnd,
  })
}

/**
 * Records of the range, a window at a time, and a smaller one where the records are large. Throws
 * `BrokerFailure` when it cannot be read.
 */
async function* readWindows(
  log: OnePartition,
  read: (log: OnePartition, range: OffsetRange) => Promise<ReadRecord[] | null>,
  { from, to }: OffsetRange,
): AsyncGenerator<readonly ReadRecord[]> {
  let offsets = tailWindowOffsets
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

async function readAll(
  log: OnePartition,
  read: Parameters<typeof readWindows>[1],
  { from, start, to }: OffsetRange & { readonly start: bigint },
): Promise<ReadRecord[]> {
  const records: ReadRecord[] = []
  const range = { from: from > start ? from : start, to }
  for await (const window of readWindows(log, read, range)) records.push(...window)
  return records
}

/** The source's log of a partition, to be read; null: it was not seen. */
export function onSource(
  deps: LookDeps,
  flow: FlowConfig,
  { topic, partition, sourceLog }: SeenPartition,
): OnePartition | null {
  return logOf(deps, flow, { cluster: deps.source, topic, partition, view: sourceLog })
}

function onStandby(
  deps: LookDeps,
  flow: FlowConfig,
  { targetTopic: topic, partition, targetLog }: SeenPartition,
): OnePartition | null {
  return logOf(deps, flow, { cluster: deps.target, topic, partition, view: targetLog })
}

function logOf(
  { clock }: LookDeps,
  { budgets }: FlowConfig,
  {
    view,
    ...at
  }: Pick<OnePartition, 'cluster' | 'topic' | 'partition'> & { readonly view: LogView },
): OnePartition | null {
  if (view.kind !== 'seen') return null
  const { topicId, leader } = view
  const fetchBytesMax = translationFetchBytes
  return {
    ...at,
    clock,
    topicId,
    leader,
    fetchBytesMax,
    requestTimeoutMs: budgets.requestTimeoutMs,
  }
}
