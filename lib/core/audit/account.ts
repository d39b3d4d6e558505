// Owns the account of one partition: what became of every source offset from 0 to the log end, what
// is on the target besides, and the digests of both logs. Does not own comparing (pairing.ts), nor
// what unmatched records mean (explain.ts).
//
//   0 ...... log start .................... copied to ............ last stable .... log end
//   removed,  replicated, differing, lost,    pending                pending
//   lost,     passed over, compacted,
//   passed    control, aborted, removed
//   over      on the standby, not compared

import type { RecordBatch } from '../../kafka/record-batch.ts'
import { CRC_AT } from '../../kafka/record-batch-layout.ts'
import type { Passing, Span } from '../pairing/log-side.ts'
import { type KnownRecord, knownRecord, offsetOf, timeOf } from '../pairing/opened-batch.ts'
import type { Told, Unmatched } from '../pairing/pairing.ts'
import type { Difference } from './difference.ts'
import { addToDigest, type Digests } from './digest.ts'
import { type Excused, excuseOf } from './excused.ts'

/** What may have become of a source offset; each has exactly one of them. */
export const outcomes = [
  /** The standby has the record. */
  'replicated',
  /** An incident names the loss. */
  'lost',
  /** An operator or a policy passed over it, or copying began behind it. */
  'passedOver',
  /** The source has no record there any more, or the standby removed it: a later value is there. */
  'compacted',
  'control',
  'aborted',
  /** Not copied yet, or not yet part of a transaction that has ended. */
  'pending',
  /** Retention of the source removed it. */
  'removedFromSource',
  /** Retention of the standby removed the copy. */
  'removedFromStandby',
  /** A difference names it. */
  'differing',
  /** Outside of the sample, or before the time that was asked for. */
  'notCompared',
] as const
export type Outcome = (typeof outcomes)[number]

export type Account = {
  readonly offsets: Record<Outcome, bigint>
  /** Records of the standby that the source does not have, in no difference. */
  readonly onStandby: {
    /** Older than what the source still holds. */
    older: bigint
    /** Removed by the source's compaction. */
    compacted: bigint
  }
  /** Records whose timestamps the standby's broker has set, and that were compared without. */
  timestampsLeftOut: bigint
  readonly unmatched: { source: Unmatched[]; target: Unmatched[] }
  readonly differences: Difference[]
  /** Where offsets are kept: the distance of the last pair; null: that of the checkpoint. */
  distance: bigint | null
  /** Where the last pair of both logs stands; null: there is none yet. */
  lastPair: { readonly source: bigint; readonly target: bigint } | null
  readonly digests: Record<'source' | 'target', Digests>
  bytes: number
}

export function emptyAccount(): Account {
  return {
    offsets: Object.fromEntries(outcomes.map(each => [each, 0n])) as Account['offsets'],
    onStandby: { older: 0n, compacted: 0n },
    timestampsLeftOut: 0n,
    unmatched: { source: [], target: [] },
    differences: [],
    distance: null,
    lastPair: null,
    digests: { source: new Map(), target: new Map() },
    bytes: 0,
  }
}

/** What is known of a partition beside its logs. */
export type Known = {
  readonly excused: readonly Excused[]
  /** Where offsets are kept: target minus source offset, from the source offset `since` on. */
  readonly distance: { readonly distance: bigint; readonly since: bigint } | null
  readonly isDeep: boolean
}

/**
 * Records without a counterpart in front of the next pair are no difference: the other log has lost
 * its beginning.
 */
export type Leading = { source: boolean; target: boolean }

export function createTold(account: Account, known: Known, leading: Leading): Told {
  const { offsets, unmatched, onStandby } = account
  return {
    matched({ source, target, count, comparesTime }) {
      offsets.replicated += BigInt(count)
      if (!comparesTime) account.timestampsLeftOut += BigInt(count)
      account.lastPair = { source: source + BigInt(count) - 1n, target }
      leading.source = false
      leading.target = false
      const kept = known.distance
      if (kept === null || source < kept.since) return
      const distance = target - source
      if (distance === (account.distance ?? kept.distance)) return
      account.distance = distance
      const at = { sourceOffset: source, targetOffset: target }
      account.differences.push({ kind: 'changed', ...at, field: 'offset' })
    },
    unmatched(side, each) {
      if (side === 'target') {
        if (leading.target) onStandby.older += 1n
        else unmatched.target.push(each)
        return
      }
      const excuse = excuseOf(known.excused, each.record.offset)
      if (excuse !== null) offsets[excuse.what] += 1n
      else if (leading.source) offsets.removedFromStandby += 1n
      else unmatched.source.push(each)
    },
    ...(known.isDeep
      ? {
          record(source, target) {
            const known = knownRecord(source)
            digestRecord(account.digests.source, known)
            // Both are the same but for these.
            const there = { print: known.print, offset: offsetOf(target), time: timeOf(target) }
            digestRecord(account.digests.target, there)
          },
        }
      : {}),
  }
}

export function createPassing(
  account: Account,
  side: 'source' | 'target',
  { isDeep }: Pick<Known, 'isDeep'>,
  leading: Leading,
): Passing {
  const { offsets, digests } = account
  const counted = { holes: 'compacted', control: 'control', aborted: 'aborted' } as const
  return {
    offsets(what, count) {
      if (what === 'removed') leading[side === 'source' ? 'target' : 'source'] = true
      if (side === 'target') return
      offsets[what === 'removed' ? 'removedFromSource' : counted[what]] += count
    },
    batch(batch) {
      account.bytes += batch.bytes.length
      if (!isDeep) digestBatch(digests[side], batch)
    },
    record(record) {
      if (isDeep) digestRecord(digests[side], record)
    },
  }
}

/** The checksum of a batch covers its records and all of its header that a consumer looks at. */
function digestBatch(digests: Digests, { bytes, baseOffset, lastOffsetDelta }: RecordBatch): void {
  const to = baseOffset + BigInt(lastOffsetDelta) + 1n
  addToDigest(digests, { from: baseOffset, to }, [lastOffsetDelta, bytes.readUInt32BE(CRC_AT)])
}

function digestRecord(
  digests: Digests,
  { offset, print, time }: Pick<KnownRecord, 'offset' | 'print' | 'time'>,
): void {
  addToDigest(digests, { from: offset, to: offset + 1n }, [print, Number(time)])
}

/** What lies below the span, by the ranges that incidents name; the rest as `otherwise`. */
export function accountBelow(
  { offsets }: Account,
  excused: readonly Excused[],
  below: Span,
  otherwise: Outcome,
): void {
  let at = below.from
  for (const { what, from, to } of excused) {
    const [begin, end] = [from > at ? from : at, to < below.to ? to : below.to]
    if (end <= begin) continue
    offsets[otherwise] += begin - at
    offsets[what] += end - begin
    at = end
  }
  if (below.to > at) offsets[otherwise] += below.to - at
}

/** The sum of all outcomes; anything but the log end is a bug, or a log that changed. */
export function sumOf({ offsets }: Pick<Account, 'offsets'>): bigint {
  return outcomes.reduce((sum, each) => sum + offsets[each], 0n)
}
