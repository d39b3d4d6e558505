// The decision of `decide` for every event in every state. The table is total: a new state or a new
// case of an event does not compile without its cells. The model is the transition table of
// Electric's TypeScript client. tests/unit/core/partition/decide.test.ts checks every cell.

import type { Policies } from '../../../lib/core/config/defaults.ts'
import type { IncidentKind, Resolution } from '../../../lib/core/incident.ts'
import { sourceOffset, targetOffset } from '../../../lib/core/offset.ts'
import type { Command, PartitionEvent, Unclear } from '../../../lib/core/partition/decision.ts'
import type {
  PartitionState,
  PartitionStateKind,
  Position,
  Producer,
} from '../../../lib/core/partition/partition-state.ts'

const at = sourceOffset
const on = targetOffset

/** The position in every state: source offset 100, target offset 40, last known log end 150. */
export const tablePosition: Position = {
  sourceTopicId: 'source-1',
  targetTopicId: 'target-1',
  nextSourceOffset: at(100n),
  nextTargetOffset: on(40n),
  epochs: [
    { epoch: 1, sourceOffset: at(0n), targetOffset: on(0n) },
    { epoch: 3, sourceOffset: at(50n), targetOffset: on(20n) },
  ],
  lastSeenLogEndOffset: at(150n),
  lastTimestampMs: 1_700_000_000_000n,
  rewinds: 0,
  producer: {
    producerId: 4000n,
    producerEpoch: 2,
    nextSequence: 70,
    assignedAtMs: 1_700_000_000_000,
    fencing: 'transactional-id',
  },
}

export const tableStates: {
  readonly [K in PartitionStateKind]: Extract<PartitionState, { kind: K }>
} = {
  unstarted: { kind: 'unstarted' },
  replicating: { kind: 'replicating', position: tablePosition },
  waiting: { kind: 'waiting', position: tablePosition, incidentId: 'why-it-waits' },
  halted: { kind: 'halted', position: tablePosition, incidentId: 'why-it-halted' },
  'failed-over': {
    kind: 'failed-over',
    position: tablePosition,
    incidentId: null,
    decisionId: 'decision',
    failedOverAtMs: 1_700_000_000_000,
    standbyEnd: targetOffset(71n),
    sourceEnd: sourceOffset(100n),
    sourceSeenAtMs: 1_700_000_000_000,
  },
}

type Case = { readonly event: PartitionEvent; readonly policies?: Partial<Policies> }

type Look = {
  readonly topicId?: string
  readonly log?: readonly [start: bigint, lastStable: bigint, end: bigint]
  readonly targetTopicId?: string
  readonly targetEnd?: bigint
  readonly afterCrash?: true
  readonly outOfRange?: true
  readonly topicIsKnown?: true
}

/** An observation; fields that are not given match the position, with 50 offsets to copy. */
function observed(look: Look, policies: Partial<Policies> = {}): Case {
  const [start, lastStable, end] = look.log ?? [0n, 150n, 150n]
  return {
    policies,
    event: {
      kind: 'observed',
      source: {
        topicId: look.topicId ?? 'source-1',
        logStartOffset: at(start),
        lastStableOffset: at(lastStable),
        logEndOffset: at(end),
      },
      target: {
        topicId: look.targetTopicId ?? 'target-1',
        logEndOffset: on(look.targetEnd ?? 40n),
      },
      cleanHandOver: look.afterCrash !== true,
      fetchWasOutOfRange: look.outOfRange === true,
      topicIsKnown: look.topicIsKnown === true,
    },
  }
}

function acknowledged(baseOffset: bigint, nextSourceOffset: bigint): Case {
  const rest = { recordsCount: 10, epoch: 4, maxTimestampMs: 1_700_000_000_500n }
  return {
    event: {
      kind: 'acknowledged',
      baseOffset: on(baseOffset),
      nextSourceOffset: at(nextSourceOffset),
      ...rest,
    },
  }
}

function diverged(
  kind: 'at' | 'at-or-before',
  offset: bigint,
  policies: Partial<Policies> = {},
): Case {
  const divergencePoint = { kind, sourceOffset: at(offset) }
  const onlyOnTarget = { from: on(24n), isExact: true }
  return {
    event: { kind: 'diverged', epoch: 2, endOffset: at(70n), divergencePoint, onlyOnTarget },
    policies,
  }
}

const nextProducer: Producer = {
  producerId: 4000n,
  producerEpoch: 3,
  nextSequence: 0,
  assignedAtMs: 1_700_000_100_000,
  fencing: 'transactional-id',
}

function recovered({
  next,
  foreign = 0n,
  unclear,
}: {
  next: bigint
  foreign?: bigint
  unclear?: Unclear
}): Case {
  return {
    event: {
      kind: 'recovered-from-crash',
      producer: nextProducer,
      nextSourceOffset: at(next),
      epoch: 4,
      maxTimestampMs: 1_700_000_000_500n,
      foundTargetOffset: on(55n),
      nextTargetOffset: on(56n),
      copiedUpTo: on(55n),
      copiedRecords: 5n,
      endsFound: true,
      foreignRecords: foreign,
      ...(unclear === undefined ? {} : { unclear }),
    },
  }
}

function foreign(upTo: bigint, foreignRecords: bigint | null): Case {
  return { event: { kind: 'foreign-records', upTo: on(upTo), foreignRecords } }
}

const goOnTruncated = { onTruncation: 'continue' } as const
const haltOnReset = { onReset: 'halt' } as const
const recreateOnReset = { onReset: 'recreate' } as const
const goOnDiverged = { onDivergence: 'continue' } as const

/** Every event, and every case of an observation that makes a difference. */
export const eventCases = {
  'in range': observed({}),
  'in range, log start at the position': observed({ log: [100n, 150n, 150n] }),
  'in range, out of range for a fetch': observed({ outOfRange: true }),
  'at the end': observed({ log: [0n, 100n, 100n] }),
  'at the end, log start there too': observed({ log: [100n, 100n, 100n] }),
  'at the last stable offset': observed({ log: [0n, 100n, 150n] }),
  'beyond the last stable offset': observed({ log: [0n, 90n, 150n] }),
  'first seen, from the log end': observed({}, { startFrom: 'log-end' }),
  'first seen, from the log end, with an open transaction': observed(
    { log: [0n, 140n, 150n] },
    { startFrom: 'log-end' },
  ),
  'first seen, from the log end, of a known topic': observed(
    { topicIsKnown: true },
    { startFrom: 'log-end' },
  ),

  'first seen, and the target too': observed({ targetEnd: 0n }),
  'first seen, and the target too, at the end': observed({
    targetEnd: 0n,
    log: [100n, 100n, 100n],
  }),
  'first seen, and the target too, after a crash': observed({ targetEnd: 0n, afterCrash: true }),
  'first seen, and the target too, from the log end': observed(
    { targetEnd: 0n },
    { startFrom: 'log-end' },
  ),
  'first seen, and the target too, from the log end, with an open transaction': observed(
    { targetEnd: 0n, log: [0n, 140n, 150n] },
    { startFrom: 'log-end' },
  ),
  'first seen, and the target too, from the log end, of a known topic': observed(
    { targetEnd: 0n, topicIsKnown: true },
    { startFrom: 'log-end' },
  ),

  'behind the log start': observed({ log: [101n, 600n, 600n] }),
  'behind the log start, out of range for a fetch': observed({
    log: [500n, 600n, 600n],
    outOfRange: true,
  }),
  'behind the log start, policy continues': observed({ log: [500n, 600n, 600n] }, goOnTruncated),
  'behind the log start of an emptied log, policy continues': observed(
    { log: [600n, 600n, 600n] },
    goOnTruncated,
  ),
  'behind the log start, after a crash': observed({
    log: [500n, 600n, 600n],
    targetEnd: 45n,
    afterCrash: true,
  }),

  'beyond the log end': observed({ log: [0n, 60n, 60n] }),
  'beyond the log end, out of range for a fetch': observed({
    log: [0n, 60n, 60n],
    outOfRange: true,
  }),
  'beyond the log end, out of range for a fetch, policy continues': observed(
    { log: [0n, 60n, 60n], outOfRange: true },
    goOnDiverged,
  ),

  'recreated, smaller': observed({ topicId: 'source-2', log: [0n, 10n, 10n] }),
  'recreated, empty': observed({ topicId: 'source-2', log: [0n, 0n, 0n] }),
  'recreated, ends at the position': observed({ topicId: 'source-2', log: [0n, 100n, 100n] }),
  'recreated, outgrew the position': observed({ topicId: 'source-2', log: [0n, 900n, 900n] }),
  'recreated, log start above 0': observed({ topicId: 'source-2', log: [30n, 900n, 900n] }),
  'recreated, log start beyond the position': observed({
    topicId: 'source-2',
    log: [300n, 900n, 900n],
  }),
  'recreated, out of range for a fetch': observed({
    topicId: 'source-2',
    log: [0n, 10n, 10n],
    outOfRange: true,
  }),
  'recreated, policy halts': observed({ topicId: 'source-2', log: [0n, 900n, 900n] }, haltOnReset),
  'recreated, policy recreates': observed(
    { topicId: 'source-2', log: [0n, 900n, 900n] },
    recreateOnReset,
  ),

  'target recreated': observed({ targetTopicId: 'target-2' }),
  'target recreated, longer': observed({ targetTopicId: 'target-2', targetEnd: 90n }),
  'target recreated, source too': observed({ targetTopicId: 'target-2', topicId: 'source-2' }),
  'target recreated and empty, source too': observed({
    targetTopicId: 'target-2',
    targetEnd: 0n,
    topicId: 'source-2',
    log: [0n, 900n, 900n],
  }),
  'target recreated and empty, source too, policy halts': observed(
    { targetTopicId: 'target-2', targetEnd: 0n, topicId: 'source-2', log: [0n, 900n, 900n] },
    haltOnReset,
  ),
  'target recreated and empty, source too, policy recreates': observed(
    { targetTopicId: 'target-2', targetEnd: 0n, topicId: 'source-2', log: [0n, 900n, 900n] },
    recreateOnReset,
  ),
  'target shorter': observed({ targetEnd: 39n }),
  'target shorter, after a crash': observed({ targetEnd: 39n, afterCrash: true }),
  'target longer': observed({ targetEnd: 45n }),
  'target longer, at the end': observed({ targetEnd: 45n, log: [0n, 100n, 100n] }),
  'target longer, after a crash': observed({ targetEnd: 45n, afterCrash: true }),
  'target longer, after a crash, at the end': observed({
    targetEnd: 45n,
    afterCrash: true,
    log: [0n, 100n, 100n],
  }),
  'target longer, behind the log start': observed({ targetEnd: 45n, log: [500n, 600n, 600n] }),
  'target longer, source recreated': observed({
    targetEnd: 45n,
    topicId: 'source-2',
    log: [0n, 900n, 900n],
  }),

  missing: { event: { kind: 'source-missing', recreatedAs: null } },
  'missing from a narrower topic': { event: { kind: 'source-missing', recreatedAs: 'source-2' } },

  diverged: diverged('at', 60n),
  'diverged at the position': diverged('at', 100n),
  'diverged, policy continues': diverged('at', 60n, goOnDiverged),
  'diverged at or before an offset, policy continues': diverged('at-or-before', 60n, goOnDiverged),
  'diverged beyond the position': diverged('at', 101n),

  'acknowledged where expected': acknowledged(40n, 110n),
  'acknowledged further on': acknowledged(47n, 110n),
  'acknowledged before': acknowledged(33n, 110n),
  'acknowledged backwards': acknowledged(40n, 100n),

  'producer assigned': { event: { kind: 'producer-assigned', producer: nextProducer } },
  'recovered from a crash, nothing found': recovered({ next: 100n }),
  'recovered from a crash, some found': recovered({ next: 110n }),
  'recovered from a crash, foreign records found': recovered({ next: 110n, foreign: 3n }),
  'recovered from a crash, backwards': recovered({ next: 90n }),
  'recovered from a crash, records of ours without a match': recovered({
    next: 110n,
    unclear: { unmatchedRecords: 2n, gone: null },
  }),
  'recovered from a crash, the target has lost records': recovered({
    next: 100n,
    foreign: 3n,
    unclear: { unmatchedRecords: 0n, gone: { from: on(40n), to: on(45n) } },
  }),
  'foreign records, counted': foreign(47n, 3n),
  'foreign records, bounded by their offsets': foreign(47n, null),
  'foreign offsets without a record': foreign(47n, 0n),
  'foreign records, none': foreign(40n, 0n),
  'foreign records, backwards': foreign(39n, 0n),

  skipped: { event: { kind: 'skipped', nextSourceOffset: at(120n), epoch: 4 } },
  'skipped nothing': { event: { kind: 'skipped', nextSourceOffset: at(100n), epoch: 4 } },
  'skipped backwards': { event: { kind: 'skipped', nextSourceOffset: at(99n), epoch: 4 } },

  filled: { event: { kind: 'filled', places: 3, by: { producerId: 7n, producerEpoch: 1 } } },
  'offsets left': { event: { kind: 'offsets-left' } },
  shifted: { event: { kind: 'shifted', sourceOffset: at(130n), reason: 'large-hole' } },
  // The target of the table is not padded; tests/unit/core/offsets/padding.test.ts has one that is.
  'padding configs': { event: { kind: 'padding-configs', restores: null } },
  'not padded': { event: { kind: 'not-padded', obstacle: 'delete-denied' } },
  'padding not ours': {
    event: {
      kind: 'padding-not-ours',
      target: { topicId: 'topic-2', logEndOffset: targetOffset(7n) },
    },
  },

  'refused as unsupported': {
    event: { kind: 'refused', as: 'unsupported-batch', offset: at(100n), detail: 'holes' },
  },
  'refused as too large': {
    event: { kind: 'refused', as: 'record-too-large', offset: at(100n), detail: 'too large' },
  },
} satisfies Record<string, Case>

export type EventCase = keyof typeof eventCases

export type IncidentText = `${IncidentKind} ${Resolution}`
type StopText = `stop ${Extract<Command, { kind: 'stop' }>['outcome']}`
export type CommandText = 'fetch' | 'fetch without epoch' | 'save' | 'resolve' | 'pad' | StopText

/** `never`: an event that no caller delivers in this state; `decide` asserts. */
export type Expected =
  | 'never'
  | {
      readonly to: PartitionStateKind
      /** The next source offset afterwards; null without a position. */
      readonly next: bigint | null
      readonly incidents: readonly IncidentText[]
      readonly commands: readonly CommandText[]
    }

function then(
  to: PartitionStateKind,
  next: bigint | null,
  commands: readonly CommandText[],
  incidents: readonly IncidentText[] = [],
): Expected {
  return { to, next, incidents, commands }
}

const copies = then('replicating', 100n, ['fetch'])
const hasCaughtUp = then('replicating', 100n, ['stop drained'])
const halts = (...incidents: IncidentText[]) =>
  then('halted', 100n, ['save', 'stop halted'], incidents)
const restarts = (next: bigint, ...incidents: IncidentText[]) =>
  then('replicating', next, ['save', 'fetch'], incidents)
const restartsEmpty = (next: bigint, ...incidents: IncidentText[]) =>
  then('replicating', next, ['save', 'stop drained'], incidents)

/** The position stays that of the old topics, which sync compares before it deletes the copy. */
const waitsForNewTarget = then('waiting', 100n, ['save', 'stop waiting'], ['topic-reset open'])

const truncated = 'log-truncated open'
const reset = 'topic-reset continued'
const drifted = 'target-drifted continued'

/**
 * A partition that was never copied starts where the policy says, whatever else is observed, but
 * only if no record was ever written to its target.
 */
const startsAt = (next: bigint) => then('replicating', next, ['save', 'fetch'])
const startsAtEnd = (next: bigint) => then('replicating', next, ['save', 'stop drained'])

const isOccupied = (next: bigint) =>
  then('halted', next, ['save', 'stop halted'], ['target-not-empty open'])

const unstarted: Record<EventCase, Expected> = {
  'in range': isOccupied(0n),
  'in range, log start at the position': isOccupied(100n),
  'in range, out of range for a fetch': isOccupied(0n),
  'at the end': isOccupied(0n),
  'at the end, log start there too': isOccupied(100n),
  'at the last stable offset': isOccupied(0n),
  'beyond the last stable offset': isOccupied(0n),
  'first seen, from the log end': isOccupied(0n),
  'first seen, from the log end, with an open transaction': isOccupied(0n),
  'first seen, from the log end, of a known topic': isOccupied(0n),
  'first seen, and the target too': startsAt(0n),
  'first seen, and the target too, at the end': startsAtEnd(100n),
  'first seen, and the target too, after a crash': startsAt(0n),
  'first seen, and the target too, from the log end': startsAtEnd(150n),
  'first seen, and the target too, from the log end, with an open transaction': startsAtEnd(140n),
  'first seen, and the target too, from the log end, of a known topic': startsAt(0n),
  'behind the log start': isOccupied(101n),
  'behind the log start, out of range for a fetch': isOccupied(500n),
  'behind the log start, policy continues': isOccupied(500n),
  'behind the log start of an emptied log, policy continues': isOccupied(600n),
  'behind the log start, after a crash': isOccupied(500n),
  'beyond the log end': isOccupied(0n),
  'beyond the log end, out of range for a fetch': isOccupied(0n),
  'beyond the log end, out of range for a fetch, policy continues': isOccupied(0n),
  'recreated, smaller': isOccupied(0n),
  'recreated, empty': isOccupied(0n),
  'recreated, ends at the position': isOccupied(0n),
  'recreated, outgrew the position': isOccupied(0n),
  'recreated, log start above 0': isOccupied(30n),
  'recreated, log start beyond the position': isOccupied(300n),
  'recreated, out of range for a fetch': isOccupied(0n),
  'recreated, policy halts': isOccupied(0n),
  'recreated, policy recreates': isOccupied(0n),
  'target recreated': isOccupied(0n),
  'target recreated, longer': isOccupied(0n),
  'target recreated, source too': isOccupied(0n),
  'target recreated and empty, source too': startsAt(0n),
  'target recreated and empty, source too, policy halts': startsAt(0n),
  'target recreated and empty, source too, policy recreates': startsAt(0n),
  'target shorter': isOccupied(0n),
  'target shorter, after a crash': isOccupied(0n),
  'target longer': isOccupied(0n),
  'target longer, at the end': isOccupied(0n),
  'target longer, after a crash': isOccupied(0n),
  'target longer, after a crash, at the end': isOccupied(0n),
  'target longer, behind the log start': isOccupied(500n),
  'target longer, source recreated': isOccupied(0n),
  missing: then('unstarted', null, ['stop absent']),
  'missing from a narrower topic': then('unstarted', null, ['stop absent']),
  diverged: 'never',
  'diverged at the position': 'never',
  'diverged, policy continues': 'never',
  'diverged at or before an offset, policy continues': 'never',
  'diverged beyond the position': 'never',
  'acknowledged where expected': 'never',
  'acknowledged further on': 'never',
  'acknowledged before': 'never',
  'acknowledged backwards': 'never',
  'producer assigned': 'never',
  'recovered from a crash, nothing found': 'never',
  'recovered from a crash, some found': 'never',
  'recovered from a crash, foreign records found': 'never',
  'recovered from a crash, backwards': 'never',
  'recovered from a crash, records of ours without a match': 'never',
  'recovered from a crash, the target has lost records': 'never',
  'foreign records, counted': 'never',
  'foreign records, bounded by their offsets': 'never',
  'foreign offsets without a record': 'never',
  'foreign records, none': 'never',
  'foreign records, backwards': 'never',
  skipped: 'never',
  'skipped nothing': 'never',
  'skipped backwards': 'never',
  filled: 'never',
  'offsets left': 'never',
  shifted: 'never',
  'padding configs': 'never',
  'not padded': 'never',
  'padding not ours': 'never',
  'refused as unsupported': 'never',
  'refused as too large': 'never',
}

const replicating: Record<EventCase, Expected> = {
  'in range': copies,
  'in range, log start at the position': copies,
  'in range, out of range for a fetch': then('replicating', 100n, ['fetch without epoch']),
  'at the end': hasCaughtUp,
  'at the end, log start there too': hasCaughtUp,
  'at the last stable offset': hasCaughtUp,
  'beyond the last stable offset': copies,
  'first seen, from the log end': copies,
  'first seen, from the log end, with an open transaction': copies,
  'first seen, from the log end, of a known topic': copies,
  'first seen, and the target too': halts('target-reset open'),
  'first seen, and the target too, at the end': halts('target-reset open'),
  'first seen, and the target too, after a crash': halts('target-reset open'),
  'first seen, and the target too, from the log end': halts('target-reset open'),
  'first seen, and the target too, from the log end, with an open transaction':
    halts('target-reset open'),
  'first seen, and the target too, from the log end, of a known topic': halts('target-reset open'),
  'behind the log start': halts(truncated),
  'behind the log start, out of range for a fetch': halts(truncated),
  'behind the log start, policy continues': restarts(500n, 'log-truncated continued'),
  'behind the log start of an emptied log, policy continues': restartsEmpty(
    600n,
    'log-truncated continued',
  ),
  'behind the log start, after a crash': 'never',
  'beyond the log end': copies,
  'beyond the log end, out of range for a fetch': halts('log-diverged open'),
  'beyond the log end, out of range for a fetch, policy continues': halts('log-diverged open'),
  'recreated, smaller': restarts(0n, reset),
  'recreated, empty': restartsEmpty(0n, reset),
  'recreated, ends at the position': restarts(0n, reset),
  'recreated, outgrew the position': restarts(0n, reset),
  'recreated, log start above 0': restarts(30n, reset),
  'recreated, log start beyond the position': restarts(300n, reset),
  'recreated, out of range for a fetch': restarts(0n, reset),
  'recreated, policy halts': halts('topic-reset open'),
  'recreated, policy recreates': waitsForNewTarget,
  'target recreated': halts('target-reset open'),
  'target recreated, longer': halts('target-reset open'),
  'target recreated, source too': halts('target-reset open'),
  // A copying run did not see the source topic gone: somebody deleted the copy under it.
  'target recreated and empty, source too': halts('target-reset open'),
  'target recreated and empty, source too, policy halts': halts('target-reset open'),
  'target recreated and empty, source too, policy recreates': halts('target-reset open'),
  'target shorter': halts('target-reset open'),
  'target shorter, after a crash': halts('target-reset open'),
  'target longer': 'never',
  'target longer, at the end': 'never',
  'target longer, after a crash': 'never',
  'target longer, after a crash, at the end': 'never',
  'target longer, behind the log start': 'never',
  'target longer, source recreated': 'never',
  missing: then('waiting', 100n, ['save', 'stop waiting'], ['topic-deleted open']),
  'missing from a narrower topic': then(
    'waiting',
    100n,
    ['save', 'stop waiting'],
    ['topic-reset open'],
  ),
  diverged: halts('log-diverged open'),
  'diverged at the position': halts('log-diverged open'),
  'diverged, policy continues': restarts(60n, 'log-diverged continued'),
  // The offset is only an upper bound: in front of it the source may have records that were not
  // copied.
  'diverged at or before an offset, policy continues': halts('log-diverged open'),
  'diverged beyond the position': 'never',
  'acknowledged where expected': then('replicating', 110n, []),
  'acknowledged further on': then('replicating', 110n, ['save'], [drifted]),
  'acknowledged before': halts('target-reset open'),
  'acknowledged backwards': 'never',
  'producer assigned': then('replicating', 100n, ['save']),
  'recovered from a crash, nothing found': then('replicating', 100n, ['save']),
  'recovered from a crash, some found': then('replicating', 110n, ['save']),
  'recovered from a crash, foreign records found': then('replicating', 110n, ['save'], [drifted]),
  'recovered from a crash, backwards': 'never',
  'recovered from a crash, records of ours without a match': then(
    'halted',
    110n,
    ['save', 'stop halted'],
    ['target-unclear open'],
  ),
  'recovered from a crash, the target has lost records': then(
    'halted',
    100n,
    ['save', 'stop halted'],
    [drifted, 'target-unclear open'],
  ),
  'foreign records, counted': then('replicating', 100n, ['save'], [drifted]),
  'foreign records, bounded by their offsets': then('replicating', 100n, ['save'], [drifted]),
  'foreign offsets without a record': then('replicating', 100n, ['save']),
  'foreign records, none': then('replicating', 100n, []),
  'foreign records, backwards': 'never',
  skipped: then('replicating', 120n, []),
  'skipped nothing': then('replicating', 100n, []),
  'skipped backwards': 'never',
  filled: then('replicating', 100n, []),
  'offsets left': then('replicating', 100n, ['save']),
  shifted: then('replicating', 100n, ['save']),
  'padding configs': 'never',
  'not padded': 'never',
  'padding not ours': 'never',
  'refused as unsupported': halts('unsupported-batch open'),
  'refused as too large': halts('record-too-large open'),
}

/**
 * An observation of a topic that returned means the same as without the wait; the end of the wait
 * is stored.
 */
function afterWaiting(cell: Expected): Expected {
  if (cell === 'never') return cell
  const commands = cell.commands.filter(command => command !== 'save')
  return { ...cell, commands: ['resolve', 'save', ...commands] }
}

const staysWaiting = then('waiting', 100n, ['stop waiting'])

const waiting: Record<EventCase, Expected> = {
  'in range': afterWaiting(copies),
  'in range, log start at the position': afterWaiting(copies),
  'in range, out of range for a fetch': afterWaiting(
    replicating['in range, out of range for a fetch'],
  ),
  'at the end': afterWaiting(hasCaughtUp),
  'at the end, log start there too': afterWaiting(hasCaughtUp),
  'at the last stable offset': afterWaiting(hasCaughtUp),
  'beyond the last stable offset': afterWaiting(copies),
  'first seen, from the log end': afterWaiting(copies),
  'first seen, from the log end, with an open transaction': afterWaiting(copies),
  'first seen, from the log end, of a known topic': afterWaiting(copies),
  'first seen, and the target too': afterWaiting(halts('target-reset open')),
  'first seen, and the target too, at the end': afterWaiting(halts('target-reset open')),
  'first seen, and the target too, after a crash': afterWaiting(halts('target-reset open')),
  'first seen, and the target too, from the log end': afterWaiting(halts('target-reset open')),
  'first seen, and the target too, from the log end, with an open transaction': afterWaiting(
    halts('target-reset open'),
  ),
  'first seen, and the target too, from the log end, of a known topic': afterWaiting(
    halts('target-reset open'),
  ),
  'behind the log start': afterWaiting(halts(truncated)),
  'behind the log start, out of range for a fetch': afterWaiting(halts(truncated)),
  'behind the log start, policy continues': afterWaiting(restarts(500n, 'log-truncated continued')),
  'behind the log start of an emptied log, policy continues': afterWaiting(
    restartsEmpty(600n, 'log-truncated continued'),
  ),
  'behind the log start, after a crash': 'never',
  'beyond the log end': afterWaiting(copies),
  'beyond the log end, out of range for a fetch': afterWaiting(halts('log-diverged open')),
  'beyond the log end, out of range for a fetch, policy continues': afterWaiting(
    halts('log-diverged open'),
  ),
  'recreated, smaller': afterWaiting(restarts(0n, reset)),
  'recreated, empty': afterWaiting(restartsEmpty(0n, reset)),
  'recreated, ends at the position': afterWaiting(restarts(0n, reset)),
  'recreated, outgrew the position': afterWaiting(restarts(0n, reset)),
  'recreated, log start above 0': afterWaiting(restarts(30n, reset)),
  'recreated, log start beyond the position': afterWaiting(restarts(300n, reset)),
  'recreated, out of range for a fetch': afterWaiting(restarts(0n, reset)),
  'recreated, policy halts': afterWaiting(halts('topic-reset open')),
  'recreated, policy recreates': afterWaiting(waitsForNewTarget),
  'target recreated': afterWaiting(halts('target-reset open')),
  'target recreated, longer': afterWaiting(halts('target-reset open')),
  'target recreated, source too': afterWaiting(halts('target-reset open')),
  // The standby topic was deleted after its source topic: nothing is left to compare.
  'target recreated and empty, source too': afterWaiting(restarts(0n, reset)),
  'target recreated and empty, source too, policy halts': afterWaiting(halts('topic-reset open')),
  'target recreated and empty, source too, policy recreates': afterWaiting(restarts(0n, reset)),
  'target shorter': afterWaiting(halts('target-reset open')),
  'target shorter, after a crash': afterWaiting(halts('target-reset open')),
  'target longer': 'never',
  'target longer, at the end': 'never',
  'target longer, after a crash': 'never',
  'target longer, after a crash, at the end': 'never',
  'target longer, behind the log start': 'never',
  'target longer, source recreated': 'never',
  missing: staysWaiting,
  'missing from a narrower topic': staysWaiting,
  diverged: 'never',
  'diverged at the position': 'never',
  'diverged, policy continues': 'never',
  'diverged at or before an offset, policy continues': 'never',
  'diverged beyond the position': 'never',
  'acknowledged where expected': 'never',
  'acknowledged further on': 'never',
  'acknowledged before': 'never',
  'acknowledged backwards': 'never',
  'producer assigned': 'never',
  'recovered from a crash, nothing found': then('waiting', 100n, ['save']),
  'recovered from a crash, some found': then('waiting', 110n, ['save']),
  'recovered from a crash, foreign records found': then('waiting', 110n, ['save'], [drifted]),
  'recovered from a crash, backwards': 'never',
  'recovered from a crash, records of ours without a match': then(
    'halted',
    110n,
    ['resolve', 'save', 'stop halted'],
    ['target-unclear open'],
  ),
  'recovered from a crash, the target has lost records': then(
    'halted',
    100n,
    ['resolve', 'save', 'stop halted'],
    [drifted, 'target-unclear open'],
  ),
  'foreign records, counted': then('waiting', 100n, ['save'], [drifted]),
  'foreign records, bounded by their offsets': then('waiting', 100n, ['save'], [drifted]),
  'foreign offsets without a record': then('waiting', 100n, ['save']),
  'foreign records, none': then('waiting', 100n, []),
  'foreign records, backwards': 'never',
  skipped: 'never',
  'skipped nothing': 'never',
  'skipped backwards': 'never',
  filled: 'never',
  'offsets left': 'never',
  shifted: 'never',
  'padding configs': 'never',
  'not padded': 'never',
  'padding not ours': 'never',
  'refused as unsupported': 'never',
  'refused as too large': 'never',
}

/** Only an operator moves a halted partition: no observation does. */
const staysHalted = then('halted', 100n, ['stop halted'])

const halted: Record<EventCase, Expected> = {
  'in range': staysHalted,
  'in range, log start at the position': staysHalted,
  'in range, out of range for a fetch': staysHalted,
  'at the end': staysHalted,
  'at the end, log start there too': staysHalted,
  'at the last stable offset': staysHalted,
  'beyond the last stable offset': staysHalted,
  'first seen, from the log end': staysHalted,
  'first seen, from the log end, with an open transaction': staysHalted,
  'first seen, from the log end, of a known topic': staysHalted,
  'first seen, and the target too': staysHalted,
  'first seen, and the target too, at the end': staysHalted,
  'first seen, and the target too, after a crash': staysHalted,
  'first seen, and the target too, from the log end': staysHalted,
  'first seen, and the target too, from the log end, with an open transaction': staysHalted,
  'first seen, and the target too, from the log end, of a known topic': staysHalted,
  'behind the log start': staysHalted,
  'behind the log start, out of range for a fetch': staysHalted,
  'behind the log start, policy continues': staysHalted,
  'behind the log start of an emptied log, policy continues': staysHalted,
  'behind the log start, after a crash': staysHalted,
  'beyond the log end': staysHalted,
  'beyond the log end, out of range for a fetch': staysHalted,
  'beyond the log end, out of range for a fetch, policy continues': staysHalted,
  'recreated, smaller': staysHalted,
  'recreated, empty': staysHalted,
  'recreated, ends at the position': staysHalted,
  'recreated, outgrew the position': staysHalted,
  'recreated, log start above 0': staysHalted,
  'recreated, log start beyond the position': staysHalted,
  'recreated, out of range for a fetch': staysHalted,
  'recreated, policy halts': staysHalted,
  'recreated, policy recreates': staysHalted,
  'target recreated': staysHalted,
  'target recreated, longer': staysHalted,
  'target recreated, source too': staysHalted,
  'target recreated and empty, source too': staysHalted,
  'target recreated and empty, source too, policy halts': staysHalted,
  'target recreated and empty, source too, policy recreates': staysHalted,
  'target shorter': staysHalted,
  'target shorter, after a crash': staysHalted,
  'target longer': staysHalted,
  'target longer, at the end': staysHalted,
  'target longer, after a crash': staysHalted,
  'target longer, after a crash, at the end': staysHalted,
  'target longer, behind the log start': staysHalted,
  'target longer, source recreated': staysHalted,
  missing: staysHalted,
  'missing from a narrower topic': staysHalted,
  diverged: 'never',
  'diverged at the position': 'never',
  'diverged, policy continues': 'never',
  'diverged at or before an offset, policy continues': 'never',
  'diverged beyond the position': 'never',
  'acknowledged where expected': 'never',
  'acknowledged further on': 'never',
  'acknowledged before': 'never',
  'acknowledged backwards': 'never',
  'producer assigned': 'never',
  'recovered from a crash, nothing found': 'never',
  'recovered from a crash, some found': 'never',
  'recovered from a crash, foreign records found': 'never',
  'recovered from a crash, backwards': 'never',
  'recovered from a crash, records of ours without a match': 'never',
  'recovered from a crash, the target has lost records': 'never',
  'foreign records, counted': 'never',
  'foreign records, bounded by their offsets': 'never',
  'foreign offsets without a record': 'never',
  'foreign records, none': 'never',
  'foreign records, backwards': 'never',
  skipped: 'never',
  'skipped nothing': 'never',
  'skipped backwards': 'never',
  filled: 'never',
  'offsets left': 'never',
  shifted: 'never',
  'padding configs': 'never',
  'not padded': 'never',
  'padding not ours': 'never',
  'refused as unsupported': 'never',
  'refused as too large': 'never',
}

/** Only a fail-back moves a partition that has failed over: what halts where halted, stops here. */
const failedOver = Object.fromEntries(
  Object.entries(halted).map(([event, expected]) => [
    event,
    expected === 'never' ? expected : then('failed-over', 100n, ['stop failed-over']),
  ]),
) as Record<EventCase, Expected>

export const transitionTable: Record<PartitionStateKind, Record<EventCase, Expected>> = {
  unstarted,
  replicating,
  waiting,
  halted,
  'failed-over': failedOver,
}
