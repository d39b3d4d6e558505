// Owns joining small batches that follow each other in one answer. A Produce request carries one
// batch of a partition, so a source whose producers do not linger, one record in every batch, would
// cost a request for each record. Large batches are never opened. Does not own how batches are
// joined (kafka/repack.ts).

import { DecodeError } from '../kafka/decode-error.ts'
import { compressionCodec, type RecordBatch } from '../kafka/record-batch.ts'
import { joinBatches } from '../kafka/repack.ts'
import type { CopiedBatch } from './batch-admission.ts'
import { joinedBytesMax, joinedContentBytesMax, smallBatchBytesMax } from './defaults.ts'

/** Never empty. */
type Group = readonly [CopiedBatch, ...CopiedBatch[]]

/** The same records in the same order, in fewer batches where that pays. */
export function joinSmallBatches(copied: readonly CopiedBatch[]): CopiedBatch[] {
  return groupSmall(copied).flatMap(join)
}

function groupSmall(copied: readonly CopiedBatch[]): Group[] {
  const groups: [CopiedBatch, ...CopiedBatch[]][] = []
  let bytes = 0
  for (const each of copied) {
    const open = groups.at(-1)
    const size = each.batch.bytes.length
    if (open !== undefined && bytes + size <= joinedBytesMax && canFollow(open[0], each)) {
      open.push(each)
      bytes += size
    } else {
      groups.push([each])
      bytes = size
    }
  }
  return groups
}

/** With another leader epoch, a position inside could not say which one lies right before it. */
function canFollow({ batch: first }: CopiedBatch, { batch }: CopiedBatch): boolean {
  return (
    isSmall(first) &&
    isSmall(batch) &&
    compressionCodec(first) === compressionCodec(batch) &&
    first.partitionLeaderEpoch === batch.partitionLeaderEpoch
  )
}

function isSmall({ bytes }: RecordBatch): boolean {
  return bytes.length < smallBatchBytesMax
}

function join(group: Group): readonly CopiedBatch[] {
  const [first, ...others] = group
  const last = others.at(-1)
  if (last === undefined) return group
  try {
    const batch = joinBatches([first.batch, ...others.map(each => each.batch)], {
      contentBytesMax: joinedContentBytesMax,
    })
    return [{ ...last, batch }]
  } catch (error) {
    // Passed on as they are: the target refuses a damaged one, and takes the others.
    if (error instanceof DecodeError) return group
    throw error
  }
}
