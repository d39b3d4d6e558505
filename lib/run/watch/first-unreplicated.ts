// Owns for which partitions a look reads the first batch that is not replicated, and what is taken
// for its age where it is not read. Does not own how a batch is read (oldest-records.ts).

import { oldestReadsMax } from '../../core/config/defaults.ts'
import type { ObservedSource } from '../../core/partition/observation.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { ageBounds, recordAgeMs, timestampAgeMs } from '../../core/partition/record-age.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import {
  firstUnreplicated,
  logEndsOf,
  type Oldest,
  type WatchedRow,
} from '../../core/watch/partition-health.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { type LogView, pointOf, type SeenLog } from '../observe/logs.ts'
import { type ReadPosition, readOldest } from './oldest-records.ts'

type Looked = TopicPartition & {
  readonly source: LogView
  readonly watched: { readonly row: WatchedRow; readonly source: ObservedSource }
}

/**
 * The first record that is not replicated of each partition. Read from the source for as many
 * partitions as a tick can afford, those that are known to be behind for the longest first, by our
 * clock. The others get the timestamp of their newest copied record. That record is not younger, so
 * headroom looks smaller than it is.
 */
export async function readFirstUnreplicated(
  deps: { readonly source: Cluster; readonly clock: Clock },
  partitions: readonly Looked[],
): Promise<(partition: TopicPartition) => Oldest> {
  const nowMs = deps.clock.nowMs()
  const behind: (ReadPosition & Waiting)[] = []
  for (const { topic, partition, source: view, watched } of partitions) {
    const from = firstUnreplicated(watched.row, watched.source)
    if (view.kind !== 'seen' || from === null || from >= pointOf(view, 'log-end')) continue
    behind.push({ topic, partition, view, from, ...waitingOf(watched.row, { view, from, nowMs }) })
  }
  behind.sort((left, right) => (right.behindMs ?? LONGEST_MS) - (left.behindMs ?? LONGEST_MS))
  const read = await readOldest(deps, behind.slice(0, oldestReadsMax))
  const copied = new Map(behind.map(each => [partitionName(each), each.copiedMs]))
  return each => {
    const name = partitionName(each)
    const copiedMs = copied.get(name)
    const found = read.get(name)
    if (copiedMs === undefined) return { kind: 'none' }
    if (found !== undefined) return found
    if (copiedMs !== null) return { kind: 'batch', timestampMs: copiedMs, bytesPerOffset: null }
    const detail = `the age of its oldest record is not known: more than ${oldestReadsMax} are behind`
    return { kind: 'unobserved', detail }
  }
}

/** A partition that may be behind for ever is read before all others. */
const LONGEST_MS = Number.MAX_SAFE_INTEGER

type Waiting = {
  /** For how long the first record that is not replicated may have been there; null: for ever. */
  readonly behindMs: number | null
  /** Newest timestamp of what was copied of this very topic; null where it can be no age. */
  readonly copiedMs: number | null
}

function waitingOf(
  row: WatchedRow,
  { view, from, nowMs }: { readonly view: SeenLog; readonly from: bigint; readonly nowMs: number },
): Waiting {
  const bounds = ageBounds(logEndsOf(row, view), from, nowMs)
  const position = row.kind === 'checkpoint' ? positionOf(row.state) : null
  const isSame = position?.sourceTopicId === view.topicId
  const lastMs = isSame ? position.lastTimestampMs : null
  const copiedMs = timestampAgeMs(lastMs, nowMs) === null ? null : Number(lastMs)
  return { behindMs: recordAgeMs(copiedMs, bounds, nowMs), copiedMs }
}
