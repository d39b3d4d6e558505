// Owns comparing two logs record by record, in order, while they are read: which record of the
// source is which of the target, and which records have no counterpart. It asks for more of a log
// and never reads; between two calls it may be given any amount. Does not own what a record without
// a counterpart means (explain.ts), nor the accounts (account.ts).
//
// As long as both logs agree, batches that are equal as a whole are passed unopened, and others
// record by record, without a value in memory for a record. Where they differ, records are read
// ahead on both sides until they agree again (resync.ts).

import { hasLogAppendTime } from '../../kafka/record-batch.ts'
import { sliceRecords } from '../../kafka/slices.ts'
import {
  fillWindow,
  headOf,
  type LogSide,
  openHead,
  passBatch,
  passRecord,
  wholeBatch,
} from '../pairing/log-side.ts'
import {
  isSameKnown,
  isSameRecord,
  type KnownRecord,
  type OpenedBatch,
  offsetOf,
} from '../pairing/opened-batch.ts'
import { type Ahead, findFar, findNear, isAll, type Skip, skipOlder } from './resync.ts'
import { isSameBatch } from './same-batch.ts'

/** A record without a counterpart at its place. */
export type Unmatched = {
  readonly record: KnownRecord
  /** Records without a counterpart between the same two pairs share a gap. */
  readonly gap: number
  /** Where the other log stood. */
  readonly place: bigint
}

export type Matched = {
  /** The offsets of the first one; the others follow in the same distance. */
  readonly source: bigint
  readonly target: bigint
  readonly count: number
  /** False: the target's broker has set the timestamps. */
  readonly comparesTime: boolean
}

/** What comparing tells, as it goes. */
export type Told = {
  /** `count` records from these offsets on are the same. */
  matched(pair: Matched): void
  unmatched(side: 'source' | 'target', unmatched: Unmatched): void
  /** A record of both logs, where records are opened and digested. */
  record?(source: OpenedBatch, target: OpenedBatch): void
}

export type Pairing = {
  readonly source: LogSide
  readonly target: LogSide
  readonly told: Told
  /** True: equal batches are opened as well. */
  readonly isDeep: boolean
  /** From this offset of the source on, what the target lacks behind its end is not copied yet. */
  readonly pendingFrom: bigint
  gap: number
  /** Whether a pair was told since the last record without a counterpart. */
  hasMatched: boolean
  /** Records that both logs must be read ahead at present. */
  ahead: number
  /** Differing records for which looking far ahead is not tried again. */
  near: number
}

export function createPairing(
  input: Pick<Pairing, 'source' | 'target' | 'told' | 'isDeep' | 'pendingFrom'>,
): Pairing {
  return { ...input, gap: 0, hasMatched: false, ahead: AHEAD_MIN, near: 0 }
}

/**
 * `source`, `target`: more of that log is needed. `slice`: others may have a turn. `done`: one of
 * the logs, or what of it is copied, is at its end, and all of the other is told.
 */
export type Need = 'source' | 'target' | 'slice' | 'done'

const AHEAD_MIN = 64
const AHEAD_GROWTH = 16
/** Records of each log that are read ahead; a fingerprint and its fields take 150 bytes. */
export const aheadRecordsMax = 65_536

/** Compares as far as what was read allows, for one slice at the most. */
export function comparePart(pairing: Pairing): Need {
  const { source, target } = pairing
  // Ends: every pass accounts for a record or a batch, or returns.
  for (let left = sliceRecords; left > 0; ) {
    if (source.window.length > 0 || target.window.length > 0) {
      const outcome = compareWindows(pairing)
      if (outcome !== null) return outcome
      left -= AHEAD_MIN
      continue
    }
    const [onSource, onTarget] = [headOf(source), headOf(target)]
    if (onSource === 'need') return 'source'
    if (onTarget === 'need') return 'target'
    if (onSource === 'end' || onTarget === 'end') {
      if (onSource === onTarget || isRestPending(pairing)) return 'done'
      const outcome = lookAhead(pairing, AHEAD_MIN)
      if (outcome !== null) return outcome
      continue
    }
    left -= passWholeBatch(pairing) ?? compareRecords(pairing, left)
  }
  return 'slice'
}

/** Whether the target is at its end and all that is left on the source is not copied yet. */
export function isRestPending({ source, target, pendingFrom }: Pairing): boolean {
  const isAtEnd = headOf(target) === 'end' && target.window.length === 0
  return isAtEnd && source.window.length === 0 && source.position >= pendingFrom
}

/** The records that were passed; null where the batches at the heads may differ. */
function passWholeBatch(pairing: Pairing): number | null {
  const { source, target, isDeep } = pairing
  if (isDeep) return null
  const [left, right] = [wholeBatch(source), wholeBatch(target)]
  if (left === null || right === null || !isSameBatch(left, right)) return null
  passBatch(source, left)
  passBatch(target, right)
  const at = { source: left.baseOffset, target: right.baseOffset, count: left.recordsCount }
  tell(pairing, { ...at, comparesTime: !hasLogAppendTime(right) })
  return left.recordsCount
}

/** The records that were compared; at the first one that differs both logs are read ahead. */
function compareRecords(pairing: Pairing, countMax: number): number {
  const { source, target, told } = pairing
  if (headOf(source) === 'batch') openHead(source)
  if (headOf(target) === 'batch') openHead(target)
  let count = 0
  // Ends: every pass moves both cursors on.
  while (source.opened !== null && target.opened !== null && count < countMax) {
    if (!isSameRecord(source.opened, target.opened)) {
      lookAhead(pairing, AHEAD_MIN)
      return count + 1
    }
    const at = { source: offsetOf(source.opened), target: offsetOf(target.opened) }
    told.record?.(source.opened, target.opened)
    const comparesTime = target.opened.appendTime === null
    tell(pairing, { ...at, count: 1, comparesTime })
    passRecord(source)
    passRecord(target)
    count += 1
  }
  if (source.damaged !== null || target.damaged !== null) lookAhead(pairing, AHEAD_MIN)
  return count + 1
}

/** null: both logs were read ahead as far as they are read. */
function lookAhead({ source, target }: Pairing, size: number): 'source' | 'target' | null {
  if (fillWindow(source, size) === 'need') return 'source'
  return fillWindow(target, size) === 'need' ? 'target' : null
}

/** null: some records were told. */
function compareWindows(pairing: Pairing): Need | null {
  const { source, target } = pairing
  matchHeads(pairing)
  const [left, right] = [source.window.length, target.window.length]
  if (left === 0 && right === 0) return null
  if (left === 0 || right === 0) return drainOne(pairing, left === 0 ? source : target)
  const need = lookAhead(pairing, pairing.ahead)
  if (need !== null) return need
  const ends = { sourceEnds: headOf(source) === 'end', targetEnds: headOf(target) === 'end' }
  const ahead = { source: source.window, target: target.window, ...ends }
  const skip = findPlace(pairing, ahead)
  if (skip !== null) skipTo(pairing, skip)
  return null
}

/** null: more must be read ahead. */
function findPlace(pairing: Pairing, ahead: Ahead): Skip | null {
  const near = findNear(ahead)
  if (near !== null) return near
  const isRead = isAll(ahead) || pairing.ahead >= aheadRecordsMax
  if (pairing.near > 0) {
    pairing.near -= 1
    return { source: 1, target: 1 }
  }
  const far = findFar(ahead, 2) ?? (isRead ? findFar(ahead, 1) : null)
  if (far !== null) return far
  if (!isRead) {
    pairing.ahead = Math.min(pairing.ahead * AHEAD_GROWTH, aheadRecordsMax)
    return null
  }
  const skip = skipOlder(ahead)
  // Or each of many differing records would be looked for in all that was read ahead.
  if (skip.source === 1 && skip.target === 1) pairing.near = ahead.source.length / 4
  return skip
}

/** Tells the pairs at the heads of both windows. */
function matchHeads(pairing: Pairing): void {
  const { source, target } = pairing
  const most = Math.min(source.window.length, target.window.length)
  let count = 0
  for (; count < most; count += 1) {
    const [left, right] = [source.window[count], target.window[count]]
    if (left === undefined || right === undefined) break
    if (!isSameKnown(left, right)) break
    const at = { source: left.offset, target: right.offset, count: 1 }
    tell(pairing, { ...at, comparesTime: !right.hasAppendTime })
  }
  if (count === 0) return
  source.window.splice(0, count)
  target.window.splice(0, count)
  pairing.ahead = AHEAD_MIN
}

/** One window is used up: as many records of its log are taken as the other one has left. */
function drainOne(pairing: Pairing, empty: LogSide): Need | null {
  const { source, target } = pairing
  const other = empty === source ? target : source
  const need = fillWindow(empty, Math.min(other.window.length, AHEAD_MIN))
  if (empty.window.length > 0) return null
  if (need === 'need') return empty === source ? 'source' : 'target'
  skipTo(pairing, { source: source.window.length, target: target.window.length })
  return null
}

function tell(pairing: Pairing, matched: Matched): void {
  pairing.hasMatched = true
  pairing.told.matched(matched)
}

function skipTo(pairing: Pairing, skip: Skip): void {
  if (pairing.hasMatched) pairing.gap += 1
  pairing.hasMatched = false
  const { source, target, told, gap } = pairing
  const places = {
    source: target.window[0]?.offset ?? target.position,
    target: source.window[0]?.offset ?? source.position,
  }
  for (const record of source.window.splice(0, skip.source)) {
    told.unmatched('source', { record, gap, place: places.source })
  }
  for (const record of target.window.splice(0, skip.target)) {
    told.unmatched('target', { record, gap, place: places.target })
  }
}

/** Whether nothing that was taken out of a log waits to be compared. */
export function isInStep({ source, target }: Pairing): boolean {
  const isFree = (side: LogSide) => side.window.length === 0 && side.damaged === null
  return isFree(source) && isFree(target)
}
