// Owns comparing one span of a partition: it reads both logs as far as the comparison asks for, and
// reads them once more where they differ. Does not own which spans are compared (beginning.ts).

import {
  type Account,
  createPassing,
  createTold,
  type Known,
  type Leading,
} from '../../core/audit/account.ts'
import { explain } from '../../core/audit/explain.ts'
import {
  answerBytesMax,
  fetchBytesMax,
  partitionsInFlightMax,
  unmatchedMax,
} from '../../core/audit/limits.ts'
import { createSecondLook, type SecondLook } from '../../core/audit/second-look.ts'
import { createSide, fillWindow, headOf, type LogSide } from '../../core/pairing/log-side.ts'
import { comparePart, createPairing, isInStep, type Pairing } from '../../core/pairing/pairing.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { pauseForATurn } from '../in-slices.ts'
import { createLogFeed, type FedLog, type LogFeed } from './log-feed.ts'

export type ComparedSpan = {
  readonly source: Omit<FedLog, 'bytesMax'>
  readonly target: Omit<FedLog, 'bytesMax'>
  readonly known: Known
  readonly leading: Leading
  readonly pendingFrom: bigint
  /** True: each side may remove an older value of a key on its own. */
  readonly isCompacted: boolean
  /** Called after each part; the logs stand in step where `at` is given. */
  readonly progress: (done: Progress) => void
  readonly interrupted: AbortSignal
}

export type Progress = {
  readonly sourceOffset: bigint
  readonly inStep: { readonly source: bigint; readonly target: bigint } | null
}

/** What became of a span. `overflow`: too much differs to be explained, and the rest is left. */
export type SpanOutcome = 'compared' | 'interrupted' | 'overflow'

const bytesMax = Math.min(fetchBytesMax, answerBytesMax / partitionsInFlightMax / 4)

/** Adds to `account` what became of each source offset of the span. */
export async function compareSpan(account: Account, span: ComparedSpan): Promise<SpanOutcome> {
  const { known, leading, pendingFrom } = span
  const side = (name: 'source' | 'target') =>
    createSide(span[name].span, createPassing(account, name, known, leading))
  const pairing = createPairing({
    ...{ source: side('source'), target: side('target') },
    ...{ told: createTold(account, known, leading), isDeep: known.isDeep, pendingFrom },
  })
  const outcome = await compareAll(account, span, pairing)
  if (outcome === 'interrupted') return outcome
  await explainRest(account, span, pairing)
  const { to } = span.source.span
  const rest = to - pairing.source.position
  account.offsets[outcome === 'overflow' ? 'notCompared' : 'pending'] += rest
  return outcome
}

async function compareAll(
  account: Account,
  span: ComparedSpan,
  pairing: Pairing,
): Promise<SpanOutcome> {
  const feeds = { source: openFeed(span.source), target: openFeed(span.target) }
  // Ends: every pass reads one more answer, compares one more slice, or returns.
  for (;;) {
    const need = comparePart(pairing)
    const inStep = isInStep(pairing)
    const at = { source: pairing.source.position, target: pairing.target.position }
    span.progress({ sourceOffset: at.source, inStep: inStep ? at : null })
    if (need === 'done') return 'compared'
    if (span.interrupted.aborted) return 'interrupted'
    const { source, target } = account.unmatched
    if (source.length + target.length > unmatchedMax) return 'overflow'
    if (need === 'slice') await pauseForATurn()
    else await feed(pairing[need], feeds[need]).catch(error => notRead(account, need, at, error))
  }
}

/** A target whose next batch is none is damaged: its consumers cannot read on either. */
function notRead(
  account: Account,
  side: 'source' | 'target',
  at: { readonly source: bigint; readonly target: bigint },
  error: unknown,
): never {
  if (error instanceof DecodeError && side === 'target') {
    const place = { sourceOffset: at.source, targetOffset: at.target }
    account.differences.push({ kind: 'changed', ...place, field: 'batch' })
  }
  throw error
}

type Feed = LogFeed & { release: () => void }

function openFeed(log: Omit<FedLog, 'bytesMax'>): Feed {
  return { ...createLogFeed({ ...log, bytesMax }), release: () => undefined }
}

/** The memory of an answer is free once the next one is needed: its last item was used up then. */
async function feed(side: LogSide, from: Feed): Promise<void> {
  if (side.queue.length === 0) from.release()
  const answer = await from.next()
  if (answer === null) {
    side.isEnded = true
    return
  }
  side.queue.push(...answer.items)
  from.release = answer.release
}

/** Reads again what tells the meaning of records without a counterpart, and explains them. */
async function explainRest(account: Account, span: ComparedSpan, pairing: Pairing): Promise<void> {
  const { source, target } = account.unmatched
  const { isCompacted, pendingFrom } = span
  const behindPair = (account.lastPair?.source ?? -1n) + 1n
  const copiedTo = behindPair > pendingFrom ? behindPair : pendingFrom
  const found = { source, target, isCompacted, copiedTo }
  const look = createSecondLook(found)
  for (const side of ['source', 'target'] as const) {
    if (look.needs(side)) await lookAgain(span, side, look)
  }
  const lastGap = pairing.hasMatched ? null : pairing.gap
  const explained = explain({ source, target, lastGap, pendingFrom, isCompacted }, look)
  account.differences.push(...explained.differences)
  account.offsets.differing += explained.differingRecords
  account.offsets.pending += explained.pendingRecords
  account.offsets.compacted += explained.compactedRecords
  account.onStandby.compacted += explained.compactedOnSource
  account.unmatched.source = []
  account.unmatched.target = []
}

const unaccounted = { offsets: () => undefined, batch: () => undefined, record: () => undefined }
const LOOK_RECORDS = 4_096

async function lookAgain(
  span: ComparedSpan,
  name: 'source' | 'target',
  look: SecondLook,
): Promise<void> {
  const side = createSide(span[name].span, unaccounted)
  const from = openFeed(span[name])
  // Ends: every pass takes records out of the log, or reads on.
  while (headOf(side) !== 'end') {
    if (fillWindow(side, LOOK_RECORDS) === 'need') await feed(side, from)
    for (const record of side.window.splice(0)) look.see(name, record)
    await pauseForATurn()
  }
}
