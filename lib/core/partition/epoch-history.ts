// Owns the leader epochs of the copied offsets, and how the divergence point of the source's log is
// found: as a follower finds where to truncate its own log (KIP-101, KIP-595). Two logs that hold a
// record of the same epoch are equal up to the end of that epoch in the log where it is shorter.
// Does not own the requests (run/recover/after-divergence.ts) nor the decision (decide.ts).

import { epochHistoryMax } from '../config/defaults.ts'
import {
  isBefore,
  type SourceOffset,
  sourceOffset,
  type TargetOffset,
  targetOffset,
} from '../offset.ts'

/** Where an epoch begins in the copied offsets; it ends where the next entry begins. */
export type EpochStart = {
  readonly epoch: number
  /** Right behind the last batch of the previous epoch, even if a hole lies between them. */
  readonly sourceOffset: SourceOffset
  /** Where its first record may stand on the target; null: not known. */
  readonly targetOffset: TargetOffset | null
}

/** Oldest first, epochs and source offsets growing, the last one that of the position. */
export type EpochHistory = readonly EpochStart[]

/** Consecutive batches of the source, copied or skipped. */
export type OffsetSpan = {
  readonly nextSourceOffset: SourceOffset
  /** Leader epoch of the batch right before `nextSourceOffset`; null: unknown. */
  readonly epoch: number | null
  /** Epochs before that one, and the offset behind the last batch of each. Left out: none. */
  readonly earlierEpochs?: readonly EpochEnd[]
}

export type EpochEnd = { readonly epoch: number | null; readonly endOffset: SourceOffset }

/** The epoch to fetch with; null: unknown. */
export function lastEpochOf(epochs: EpochHistory): number | null {
  return epochs.at(-1)?.epoch ?? null
}

/** Two consecutive spans as one. */
export function concatSpans(left: OffsetSpan | null, right: OffsetSpan): OffsetSpan {
  const behind = right.earlierEpochs ?? []
  const first = (behind[0] ?? right).epoch
  const ended =
    left === null || left.epoch === first
      ? []
      : [{ epoch: left.epoch, endOffset: left.nextSourceOffset }]
  const earlierEpochs = [...(left?.earlierEpochs ?? []), ...ended, ...behind]
  const { nextSourceOffset, epoch } = right
  return { nextSourceOffset, epoch, ...(earlierEpochs.length === 0 ? {} : { earlierEpochs }) }
}

/**
 * The history once `span`, which begins at `from`, lies before the position. `targetBehind` is the
 * target offset for the later epochs of the span; null: not known.
 */
export function historyAfter(
  epochs: EpochHistory,
  from: { readonly sourceOffset: SourceOffset; readonly targetOffset: TargetOffset },
  { span, targetBehind }: { span: OffsetSpan; targetBehind: TargetOffset | null },
): EpochHistory {
  let history = epochs
  let at: SourceOffset = from.sourceOffset
  let target: TargetOffset | null = from.targetOffset
  const last = { epoch: span.epoch, endOffset: span.nextSourceOffset }
  for (const { epoch, endOffset } of [...(span.earlierEpochs ?? []), last]) {
    history = withEpoch(history, { epoch, sourceOffset: at, targetOffset: target })
    at = endOffset
    target = targetBehind
  }
  return history
}

function withEpoch(
  epochs: EpochHistory,
  start: { readonly [K in keyof EpochStart]: K extends 'epoch' ? number | null : EpochStart[K] },
): EpochHistory {
  const { epoch } = start
  // Without the epoch of this batch, no earlier batch can be compared any more.
  if (epoch === null) return []
  const last = lastEpochOf(epochs)
  if (last === epoch) return epochs
  // Epochs only grow within a log: an older epoch means that this is another log.
  const kept = last !== null && epoch < last ? [] : epochs
  return [...kept, { ...start, epoch }].slice(-epochHistoryMax)
}

/** The part of the history before `offset`. */
export function historyBefore(epochs: EpochHistory, offset: SourceOffset): EpochHistory {
  return epochs.filter(each => isBefore(each.sourceOffset, offset))
}

/** A position, and the epoch that it was fetched with. */
export type Asked = { readonly sourceOffset: SourceOffset; readonly epoch: number }

/** The source's largest epoch that is not above the asked one, and its end offset. */
export type DivergingAnswer = {
  readonly epoch: number
  readonly endOffset: SourceOffset
  /** null: not in the response. */
  readonly logStartOffset: SourceOffset | null
}

export type DivergencePoint =
  /** The first source offset whose record differs from the copied one, or was not copied. */
  | { readonly kind: 'at'; readonly sourceOffset: SourceOffset }
  /** An older position and its epoch, to be asked next. No divergence there means `at` it. */
  | { readonly kind: 'ask'; readonly asked: Asked }
  /** Neither history reaches back to the divergence point: it is at this offset or before it. */
  | { readonly kind: 'at-or-before'; readonly sourceOffset: SourceOffset }

/**
 * One step of the search, as in AbstractFetcherThread.getOffsetTruncationState. Every `ask` names
 * an older epoch than the one before, so there are at most as many as the history has entries.
 */
export function nextStep(
  epochs: EpochHistory,
  asked: Asked,
  answer: DivergingAnswer,
): DivergencePoint {
  const { epoch, endOffset, logStartOffset } = answer
  const index = epochs.findLastIndex(each => each.epoch <= epoch)
  const own = epochs[index]
  if (own === undefined) {
    const first = epochs[0]?.sourceOffset ?? asked.sourceOffset
    // The source has no epoch of the copied offsets any more.
    if (first === 0n) return { kind: 'at', sourceOffset: first }
    return { kind: 'at-or-before', sourceOffset: first }
  }
  const ownEnd = epochs[index + 1]?.sourceOffset ?? asked.sourceOffset
  const ends = isBefore(ownEnd, asked.sourceOffset) ? ownEnd : asked.sourceOffset
  if (own.epoch < epoch) {
    return { kind: 'ask', asked: { sourceOffset: ends, epoch: own.epoch } }
  }
  if (!isBefore(endOffset, ends)) return { kind: 'at', sourceOffset: ends }
  // For an epoch older than its leader epoch cache, the broker returns its log start offset as the
  // end offset (LeaderEpochFileCache.endOffsetFor); the epoch may have ended earlier.
  const isLogStart = endOffset === logStartOffset && endOffset > 0n && epoch === asked.epoch
  return { kind: isLogStart ? 'at-or-before' : 'at', sourceOffset: endOffset }
}

/** As stored: `epoch:sourceOffset:targetOffset`, comma separated; the last one may be empty. */
export function writeEpochs(epochs: EpochHistory): string | null {
  if (epochs.length === 0) return null
  return epochs
    .map(
      ({ epoch, sourceOffset, targetOffset }) => `${epoch}:${sourceOffset}:${targetOffset ?? ''}`,
    )
    .join(',')
}

const startShape = /^(\d{1,10}):(\d{1,19}):(\d{1,19})?$/
const OFFSET_MAX = 2n ** 63n - 1n
const EPOCH_MAX = 2 ** 31 - 1

/** null: the text is not in the form that `writeEpochs` writes. */
export function readEpochs(text: string): EpochHistory | null {
  const epochs: EpochStart[] = []
  for (const part of text.split(',')) {
    const [, epoch, source, target] = startShape.exec(part) ?? []
    if (epoch === undefined || source === undefined) return null
    const offsets = [BigInt(source), BigInt(target ?? 0n)]
    if (Number(epoch) > EPOCH_MAX || offsets.some(each => each > OFFSET_MAX)) return null
    const before = epochs.at(-1)
    if (before !== undefined && Number(epoch) <= before.epoch) return null
    if (before !== undefined && BigInt(source) <= before.sourceOffset) return null
    epochs.push({
      epoch: Number(epoch),
      sourceOffset: sourceOffset(BigInt(source)),
      targetOffset: target === undefined ? null : targetOffset(BigInt(target)),
    })
  }
  return epochs
}
