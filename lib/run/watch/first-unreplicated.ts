// Owns for which partitions a look reads the first batch that is not replicated, and what is taken
// for its age where it is not read. Does not own how a batch is read (oldest-records.ts).

import { oldestReadsMax } from '../../core/config/defaults.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import {
  firstUnreplicated,
  type Oldest,
  type WatchedRow,
  type WatchedSource,
} from '../../core/watch/partition-health.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { type LogView, pointOf } from '../observe/logs.ts'
import { type ReadPosition, readOldest } from './oldest-records.ts'

type Looked = TopicPartition & {
  readonly source: LogView
  readonly watched: { readonly row: WatchedRow; readonly source: WatchedSource }
}

/**
 * The age of the first record that is not replicated. Read from the source for as many partitions
 * as a tick can afford. The others get the timestamp of their newest copied record. That record is
 * not younger, so lag looks larger and headroom smaller than they are.
 */
export async function readFirstUnreplicated(
  source: Cluster,
  partitions: readonly Looked[],
): Promise<(partition: TopicPartition) => Oldest> {
  const behind: (ReadPosition & { readonly copiedMs: number | null })[] = []
  for (const { topic, partition, source: view, watched } of partitions) {
    const from = firstUnreplicated(watched.row, watched.source)
    if (view.kind !== 'seen' || from === null || from >= pointOf(view, 'log-end')) continue
    const copiedMs = copiedMsOf(watched.row, view.topicId)
    behind.push({ topic, partition, view, from, copiedMs })
  }
  behind.sort((left, right) => (left.copiedMs ?? 0) - (right.copiedMs ?? 0))
  const read = await readOldest(source, behind.slice(0, oldestReadsMax))
  const bounds = new Map(behind.map(each => [partitionName(each), each.copiedMs]))
  return each => {
    const name = partitionName(each)
    const bound = bounds.get(name)
    const found = read.get(name)
    if (bound === undefined) return { kind: 'none' }
    if (found !== undefined) return found
    if (bound !== null) return { kind: 'batch', timestampMs: bound, bytesPerOffset: null }
    const detail = `the age of the oldest record that ${name} has not replicated is not known: more than ${oldestReadsMax} partitions are behind`
    return { kind: 'unobserved', detail }
  }
}

/** Newest timestamp of what was copied of this very topic; null where nothing was. */
function copiedMsOf(row: WatchedRow, topicId: string): number | null {
  const position = row.kind === 'checkpoint' ? positionOf(row.state) : null
  if (position === null || position.sourceTopicId !== topicId) return null
  return position.lastTimestampMs === null ? null : Number(position.lastTimestampMs)
}
