// Owns the anchors of one partition as a row of the table of their own: only a partition whose log
// has holes has one. Does not own the text of the list (translate/anchor-text.ts) nor the requests
// (io/anchors/anchor-store.ts). The checkpoint has the last anchor, too (checkpoint.ts).
//
//   pk            the flow                      sk            anchors/<topic>/<partition>
//   sourceTopicId, targetTopicId    anchors of other topics say nothing of these
//   anchors       oldest first, at most `anchorsMax`
//   updatedAtMs   time of the write

import type { Position } from '../partition/partition-state.ts'
import type { Anchors } from '../translate/anchor.ts'
import { readAnchors, writeAnchors } from '../translate/anchor-text.ts'
import { type PartitionKey, partitionRowKey } from './checkpoint.ts'
import { type Row, rowReader, type StoredRow } from './row.ts'

const anchorsPrefix = 'anchors/'

/** Identity of both topics: offsets of other ones are other records. */
export type TopicIds = Pick<Position, 'sourceTopicId' | 'targetTopicId'>

/** Under a prefix that no listing of checkpoints has. */
export function anchorsKey(key: PartitionKey): Row {
  return partitionRowKey(anchorsPrefix, key)
}

export function anchorsAttributes(
  { sourceTopicId, targetTopicId }: TopicIds,
  { anchors, nowMs }: { readonly anchors: Anchors; readonly nowMs: number },
): Row {
  return {
    sourceTopicId: { S: sourceTopicId },
    targetTopicId: { S: targetTopicId },
    anchors: { S: writeAnchors(anchors) },
    updatedAtMs: { N: String(nowMs) },
  }
}

/** Throws `CorruptRowError` that names the row and the attribute. */
export function readAnchorsRow(row: StoredRow): TopicIds & { readonly anchors: Anchors } {
  const read = rowReader(row)
  const anchors = readAnchors(read.text('anchors'))
  if (anchors === null) throw read.corrupt('anchors', 'source.target.records.ms.reason, ...')
  return {
    sourceTopicId: read.text('sourceTopicId'),
    targetTopicId: read.text('targetTopicId'),
    anchors,
  }
}
