// Owns what one comparison knows beside the contents: which source record a record of our producer
// can be, by its sequence; whether the standby replaces timestamps; and how many of our records
// matched nothing although the source has no hole there. Does not own the walk over both logs
// (comparison.ts).
//
// Records without timestamps are weaker evidence: ten records of one key may be equal. So they
// count only for our own producer, and only where the sequence allows it. A producer that has sent
// n records since the checkpoint stands at the checkpoint's source offset + n or beyond: exactly
// there as long as the source has no hole.

import type { SourceRecord } from '../../kafka/repack.ts'
import {
  type FoundRecord,
  hasSameContent,
  hasSameTimestamp,
  type OwnBatch,
} from './found-record.ts'

/** Where a comparison of the records behind a checkpoint begins. */
export type Basis = {
  /** The source offset of the checkpoint: sequences count from here. */
  readonly position: bigint
  /** The first source offset that can be read: the position, or the log start beyond it. */
  readonly readableFrom: bigint
}

/**
 * `doubtful`: a record of our producer with the contents of the source record, where nothing tells
 * a copy of it from a copy of an equal record that the source has lost.
 */
export type Likeness = 'copy' | 'doubtful' | 'other'

export type CopyRules = ReturnType<typeof createCopyRules>

/** Without a basis nothing is known of sequences, and only equal timestamps count. */
export function createCopyRules(basis: Basis | null) {
  let readFrom = basis?.readableFrom ?? 0n
  // Offsets up to here are explained: matched, or before the first comparable record.
  let next = basis?.position ?? 0n
  let matched = 0n
  let pendingOwn = 0n
  let unexplained = 0n
  /** Unmatched records of ours since the last match that are doubtful. */
  let doubtful = 0n
  let replacesTimestamps = false

  /** Our records that matched nothing may be those that compaction removed from a hole. */
  const explainBy = (hole: bigint): void => {
    if (pendingOwn > hole) unexplained += pendingOwn - (hole > 0n ? hole : 0n)
    pendingOwn = 0n
  }
  /** The first source offset at which the record with this index can stand. */
  const earliest = (index: bigint | null): bigint =>
    basis === null || index === null ? 0n : basis.position + index

  return {
    earliest,
    likeness(wanted: SourceRecord, found: FoundRecord, own: OwnBatch | null): Likeness {
      if (!hasSameContent(wanted, found) || wanted.offset < earliest(found.index)) return 'other'
      if (hasSameTimestamp(wanted, found)) return 'copy'
      if (own === null || basis === null) return 'other'
      const isReplaced = replacesTimestamps || found.createTime === null
      if (found.index === null) return isReplaced ? 'copy' : 'other'
      // Source offsets before `wanted` that were never copied, if this is its copy.
      const notCopied = wanted.offset - earliest(found.index)
      if (notCopied === 0n) {
        replacesTimestamps = true
        return 'copy'
      }
      if (!isReplaced) return 'other'
      return notCopied <= wanted.offset - readFrom - matched ? 'copy' : 'doubtful'
    },
    noteMatched({ first, last, count }: { first: bigint; last: bigint; count: number }): void {
      explainBy(first - next)
      next = last + 1n
      matched += BigInt(count)
      doubtful = 0n
    },
    /**
     * True when the source record at `offset` was copied before one of our records with this index,
     * which is on the standby: the standby has removed the copy since. Says so only while each of
     * our records so far has matched: after an unclean election of the source others stand there.
     */
    wasCopiedBefore(offset: bigint, index: bigint | null): boolean {
      return offset < earliest(index) && pendingOwn === 0n && unexplained === 0n
    },
    noteUnmatched(own: OwnBatch | null, count: number): void {
      if (own !== null) pendingOwn += BigInt(count)
    },
    /** One of the unmatched records since the last match may be a copy all the same. */
    noteDoubtful(): void {
      doubtful += 1n
    },
    /** The comparison goes on at `offset`: the standby has lost the records before it. */
    beginAt(offset: bigint): void {
      readFrom = offset
      next = offset
      matched = 0n
      doubtful = 0n
    },
    /**
     * Records of our producer on the standby that cannot have been in the source, and doubtful
     * ones, of which a hole explains none: copying on may make a duplicate of them.
     */
    unexplained(nextSourceOffset: bigint): bigint {
      const before = unexplained
      explainBy(nextSourceOffset - next)
      const sinceMatch = unexplained - before
      return before + (sinceMatch > doubtful ? sinceMatch : doubtful)
    },
  }
}
