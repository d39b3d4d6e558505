// Owns the truth of a simulation, written down as it happens: every record that was ever in the
// source with its fate there, and what the standby, the table and the incidents hold. Does not own
// what is allowed (invariants.ts).

import type { Incident } from '../../../lib/core/incident.ts'
import type { SameOffsets } from '../../../lib/core/offsets/same-offsets.ts'
import type { PartitionKey } from '../../../lib/core/row/checkpoint.ts'
import type { RecordBatch } from '../../../lib/kafka/record-batch.ts'

/** Why a record is no longer in the source. */
export type Gone = 'retention' | 'election' | 'compaction'

export type ModelRecord = {
  readonly text: string
  readonly topicId: string
  readonly offset: bigint
  readonly timestamp: bigint
  /**
   * Its number within the partition, over all generations of the topic: records are copied in this
   * order.
   */
  readonly order: number
  fate: 'open' | 'committed' | 'aborted'
  gone: Gone | null
  copied: boolean
  /**
   * True when it vanished in the shadow of an election that could not have been detected before.
   */
  isShadowed: boolean
}

/** An unclean election that cut the log back to `end`. */
export type Election = {
  readonly topicId: string
  readonly end: bigint
  readonly epoch: number
  /** Records with a higher order were written behind the election. */
  readonly order: number
  /** True while the position may lie beyond `end`: the records there now belong to another log. */
  isPending: boolean
}

/** A record of gapless on the standby. */
export type Copy = { readonly targetOffset: bigint; readonly record: ModelRecord }

export type Track = {
  readonly partition: number
  readonly records: ModelRecord[]
  readonly byText: Map<string, ModelRecord>
  /** The log start offsets of the topics of this name, oldest first. */
  readonly logStarts: Map<string, bigint[]>
  readonly elections: Election[]
  /** The order of the last record on the standby. */
  copiedOrder: number
  copiedCount: number
  /** In the order of the standby. */
  readonly copies: Copy[]
  foreignRecords: number
  /** How many batches of the standby were checked. */
  standbyBatches: number
  /** The standby's log end behind the last data batch, and behind the last marker. */
  standbyDataEnd: bigint
  /** Who sent the last data. */
  standbyDataBy: string | null
  /** The last stored position in each topic. */
  readonly storedUpTo: Map<string, bigint>
  /** Which process was given which fence number. */
  readonly fences: Map<string, number>
  fence: number
  /** The fence number of the lease under which the standby was last fenced. */
  markerFence: number
  /** Every distance that a checkpoint has recorded, by topic id. */
  readonly distances: Map<string, readonly SameOffsets[]>
  /** Topic ids with a hole that is too large to be filled. */
  readonly largeHoles: Set<string>
  /** How often an operator has moved the position. */
  resumes: number
}

export type Model = {
  readonly tracks: readonly Track[]
  /** Topic ids of the source in the order of their creation; `missing` while there is none. */
  readonly generations: string[]
  readonly deletedGenerations: Set<string>
  readonly incidents: Map<string, Incident>
  readonly isFaulty: () => boolean
  /** False: the standby's topic has LogAppendTime. */
  readonly keepsTimestamps: boolean
  /** `offsets: preserve`. */
  readonly keepsOffsets: boolean
  /** Which process ended the transaction of a marker; null: its coordinator, or a stranger. */
  readonly markedBy: (marker: RecordBatch) => string | null
}

export function createModel(
  partitions: number,
  world: Pick<Model, 'isFaulty' | 'keepsTimestamps' | 'keepsOffsets' | 'markedBy'>,
): Model {
  return {
    tracks: Array.from({ length: partitions }, (_, partition) => createTrack(partition)),
    generations: [],
    deletedGenerations: new Set(),
    incidents: new Map(),
    ...world,
  }
}

function createTrack(partition: number): Track {
  return {
    partition,
    records: [],
    byText: new Map(),
    logStarts: new Map(),
    elections: [],
    copiedOrder: -1,
    copiedCount: 0,
    copies: [],
    foreignRecords: 0,
    standbyBatches: 0,
    standbyDataEnd: 0n,
    standbyDataBy: null,
    storedUpTo: new Map(),
    fences: new Map(),
    fence: 0,
    markerFence: 0,
    distances: new Map(),
    largeHoles: new Set(),
    resumes: 0,
  }
}

export function trackOf(model: Model, { partition }: Pick<PartitionKey, 'partition'>): Track {
  const track = model.tracks[partition]
  if (track === undefined) throw new Error(`no partition ${partition} is simulated`)
  return track
}

/** Notes a record that was written to the source. */
export function addRecord(
  track: Track,
  record: Pick<ModelRecord, 'text' | 'topicId' | 'offset' | 'timestamp' | 'fate'>,
): void {
  const order = track.records.length
  const added = { ...record, order, gone: null, copied: false, isShadowed: false }
  track.records.push(added)
  track.byText.set(added.text, added)
}

/** How far replication may be in a topic: the stored position, or the last copied record. */
export function reachedIn(track: Track, topicId: string): bigint {
  const stored = track.storedUpTo.get(topicId) ?? 0n
  return track.records.reduce(
    (max, each) =>
      // Records removed by an earlier election say nothing about the position since.
      each.copied && each.gone !== 'election' && each.topicId === topicId && each.offset >= max
        ? each.offset + 1n
        : max,
    stored,
  )
}

/** Notes that retention removed every record below `start`. */
export function noteRetention(track: Track, topicId: string, start: bigint): void {
  track.logStarts.set(topicId, [...(track.logStarts.get(topicId) ?? []), start])
  for (const record of track.records) {
    if (record.topicId !== topicId || record.offset >= start || record.gone !== null) continue
    record.gone = 'retention'
    record.isShadowed = isInShadow(track, record)
  }
}

/** Notes that an unclean election removed every record from `end` on. */
export function noteElection(
  track: Track,
  { topicId, end, epoch }: Pick<Election, 'topicId' | 'end' | 'epoch'>,
): void {
  const isPending = reachedIn(track, topicId) > end
  track.elections.push({ topicId, end, epoch, order: track.records.length, isPending })
  for (const record of track.records) {
    if (record.topicId === topicId && record.offset >= end && record.gone === null) {
      record.gone = 'election'
    }
  }
}

/** Notes that the topic was deleted: an event before the deletion can no longer be detected. */
export function noteDeletion(model: Model, topicId: string): void {
  model.deletedGenerations.add(topicId)
  for (const track of model.tracks) {
    for (const record of track.records) {
      if (record.topicId === topicId) record.isShadowed ||= isInShadow(track, record)
    }
  }
}

export function noteCompaction(track: Track, topicId: string, offsets: ReadonlySet<bigint>): void {
  for (const record of track.records) {
    if (record.topicId !== topicId || record.gone !== null || !offsets.has(record.offset)) continue
    record.gone = 'compaction'
  }
}

/**
 * True when the record was written behind an election that replication has not gone back for yet.
 */
export function isInShadow(track: Track, record: ModelRecord): boolean {
  return track.elections.some(
    each =>
      each.isPending &&
      each.topicId === record.topicId &&
      each.order <= record.order &&
      each.end <= record.offset,
  )
}
