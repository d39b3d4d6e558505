import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AssertionError } from '../../../../lib/core/assert.ts'
import type { Policies } from '../../../../lib/core/config/defaults.ts'
import { policyDefaults } from '../../../../lib/core/config/defaults.ts'
import { lostRange } from '../../../../lib/core/incident.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { needsRecovery } from '../../../../lib/core/partition/crash-recovery.ts'
import { decide } from '../../../../lib/core/partition/decide.ts'
import type {
  Command,
  DecideContext,
  Decision,
  PartitionEvent,
  PartitionEventKind,
} from '../../../../lib/core/partition/decision.ts'
import { historyBefore, lastEpochOf } from '../../../../lib/core/partition/epoch-history.ts'
import {
  type PartitionState,
  type PartitionStateKind,
  type Position,
  positionOf,
} from '../../../../lib/core/partition/partition-state.ts'
import {
  type CommandText,
  type EventCase,
  type Expected,
  eventCases,
  type IncidentText,
  tablePosition,
  tableStates,
  transitionTable,
} from '../../../support/contracts/transition-table.ts'

const scope = { flow: 'flow', topic: 'orders', partition: 7 }
const kinds: readonly PartitionStateKind[] = [
  'unstarted',
  'replicating',
  'waiting',
  'halted',
  'failed-over',
]

function contextWith(policies: Partial<Policies> = {}, nowMs = 1_700_000_001_000): DecideContext {
  const translated = { ...policyDefaults, offsets: 'translate' } as const
  return { scope, policies: { ...translated, ...policies }, nowMs }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}

function textOf(command: Command): CommandText {
  switch (command.kind) {
    case 'fetch':
      return command.withEpoch ? 'fetch' : 'fetch without epoch'
    case 'save-checkpoint':
      return 'save'
    case 'resolve-incident':
      return 'resolve'
    case 'pad':
      return 'pad'
    case 'stop':
      return `stop ${command.outcome}`
  }
}

/** A decision as a cell of the table. */
function cellOf({ state, incidents, commands }: Decision): Exclude<Expected, 'never'> {
  return {
    to: state.kind,
    next: positionOf(state)?.nextSourceOffset ?? null,
    incidents: incidents.map(each => `${each.kind} ${each.resolution}` satisfies IncidentText),
    commands: commands.map(textOf),
  }
}

const cases = Object.entries(eventCases) as [EventCase, (typeof eventCases)[EventCase]][]

describe('the transition table', () => {
  for (const kind of kinds) {
    describe(`of a partition that is ${kind}`, () => {
      for (const [name, one] of cases) {
        test(`decide answers as the transition table says: ${kind}, ${name}`, () => {
          const { event, policies = {} }: { event: PartitionEvent; policies?: Partial<Policies> } =
            one
          const expected = transitionTable[kind][name]
          const act = () => decide(tableStates[kind], event, contextWith(policies))
          if (expected === 'never') expect(act).toThrow(AssertionError)
          else expect(cellOf(act())).toEqual(expected)
        })
      }
    })
  }

  test('the transition table has a case of every kind of event', () => {
    const wanted: Record<PartitionEventKind, true> = {
      observed: true,
      'source-missing': true,
      diverged: true,
      acknowledged: true,
      skipped: true,
      'producer-assigned': true,
      'recovered-from-crash': true,
      filled: true,
      shifted: true,
      'offsets-left': true,
      'padding-configs': true,
      'not-padded': true,
      'padding-not-ours': true,
      'foreign-records': true,
      refused: true,
    }
    expect(new Set(cases.map(([, { event }]) => event.kind))).toEqual(new Set(Object.keys(wanted)))
  })

  test('the transition table has exactly the arrows drawn in partition-state.ts, without the one of gapless resume', () => {
    const arrows = new Set<string>()
    for (const kind of kinds) {
      for (const [name] of cases) {
        const expected = transitionTable[kind][name]
        if (expected !== 'never' && expected.to !== kind) arrows.add(`${kind} -> ${expected.to}`)
      }
    }
    // Change the drawing together with this list.
    expect(arrows).toEqual(
      new Set([
        'unstarted -> replicating',
        'unstarted -> halted',
        'replicating -> halted',
        'replicating -> waiting',
        'waiting -> replicating',
        'waiting -> halted',
      ]),
    )
    const file = readFileSync(
      new URL('../../../../lib/core/partition/partition-state.ts', import.meta.url),
      'utf8',
    )
    const drawing = file.slice(0, file.indexOf('import'))
    for (const word of [...kinds, 'observed', 'source-missing', 'incident', 'gapless resume']) {
      expect(drawing).toContain(word)
    }
    // The drawing has no state that does not exist.
    const drawn = drawing.match(/(?<=--> )[\w-]+/g) ?? []
    expect(drawn.length).toBeGreaterThan(1)
    for (const name of drawn) expect(kinds).toContain(name)
  })
})

describe('what a first look stores', () => {
  test('the first observation stores where both logs stand and their topic ids', () => {
    const { event } = eventCases['first seen, and the target too']
    const { state } = decide(tableStates.unstarted, event, contextWith())
    expect(state).toEqual({
      kind: 'replicating',
      position: {
        sourceTopicId: 'source-1',
        targetTopicId: 'target-1',
        nextSourceOffset: 0n,
        nextTargetOffset: 0n,
        epochs: [],
        lastSeenLogEndOffset: 150n,
        lastTimestampMs: null,
        rewinds: 0,
        producer: null,
        copied: { records: 0n, anchor: anchorAt(0n, 0n, 0n, 'start') },
      },
    })
  })
})

function anchorAt(source: bigint, target: bigint, copiedRecords: bigint, reason: string) {
  const { nowMs: atMs } = contextWith()
  return { sourceOffset: source, targetOffset: target, copiedRecords, atMs, reason }
}

describe('what an acknowledgement stores', () => {
  test('an acknowledgement stores where both logs go on, and the epoch and timestamp of the batch', () => {
    const { event } = eventCases['acknowledged where expected']
    const { state } = decide(tableStates.replicating, event, contextWith())
    expect(positionOf(state)).toEqual({
      ...tablePosition,
      nextSourceOffset: 110n,
      nextTargetOffset: 50n,
      epochs: [...tablePosition.epochs, { epoch: 4, sourceOffset: 100n, targetOffset: 40n }],
      lastTimestampMs: 1_700_000_000_500n,
      producer: { ...tablePosition.producer, nextSequence: 80 },
    })
  })

  test('an acknowledgement behind foreign records stores the new distance between both sides', () => {
    const { event } = eventCases['acknowledged further on']
    const { state, incidents } = decide(tableStates.replicating, event, contextWith())
    expect(positionOf(state)).toMatchObject({ nextSourceOffset: 110n, nextTargetOffset: 57n })
    expect(incidents[0]?.evidence).toEqual({ foreignRecordsMax: '7' })
  })
})

describe('an episode of foreign records', () => {
  const acknowledgedAt = (baseOffset: bigint, nextSourceOffset: bigint): PartitionEvent => ({
    kind: 'acknowledged',
    baseOffset: targetOffset(baseOffset),
    recordsCount: 1,
    nextSourceOffset: sourceOffset(nextSourceOffset),
    epoch: 4,
    maxTimestampMs: 0n,
  })

  test('a writer that appends between any two batches is one incident, stored when the episode begins', () => {
    let state: PartitionState = tableStates.replicating
    const stored: string[] = []
    const commands: CommandText[] = []
    for (let each = 1n; each <= 50n; each += 1n) {
      const event = acknowledgedAt(tablePosition.nextTargetOffset + 3n * each, 100n + each)
      const decision = decide(state, event, contextWith())
      stored.push(...decision.incidents.map(({ id }) => id))
      commands.push(...decision.commands.map(textOf))
      state = decision.state
    }
    expect(stored).toEqual(['target-drifted:orders:7:target-1:40'])
    expect(commands).toEqual(['save'])
    // 50 times 3 offsets, less the record of ours before each of the others.
    expect(positionOf(state)?.drift).toEqual({
      expectedOffset: 40n,
      foundOffset: 43n,
      lastFoundOffset: 190n,
      foreignRecords: 101n,
      isCounted: false,
    })
  })

  test('an episode of foreign records ends with the first look of a run that finds none', () => {
    const begun = decide(tableStates.replicating, acknowledgedAt(47n, 110n), contextWith()).state
    const { event }: { event: PartitionEvent } = eventCases['in range']
    if (event.kind !== 'observed') throw new Error('no observation')
    const target = { ...event.target, logEndOffset: targetOffset(48n) }
    const look = (isFirstLook: boolean) =>
      decide(begun, { ...event, target, isFirstLook }, contextWith()).state
    expect(positionOf(look(false))?.drift).toBeDefined()
    expect(positionOf(look(true))?.drift).toBeUndefined()
    const again = decide(look(true), acknowledgedAt(60n, 120n), contextWith())
    expect(again.incidents.map(({ id }) => id)).toEqual(['target-drifted:orders:7:target-1:48'])
  })
})

describe('the count of copied records', () => {
  const anchor = {
    sourceOffset: sourceOffset(20n),
    targetOffset: targetOffset(5n),
    copiedRecords: 5n,
    atMs: 7,
    reason: 'spacing' as const,
  }
  const counting: PartitionState = {
    kind: 'replicating',
    position: { ...tablePosition, copied: { records: 30n, anchor } },
  }
  const copiedAfter = (name: EventCase, state: PartitionState, policies = {}) => {
    const { event } = eventCases[name]
    return positionOf(decide(state, event, contextWith(policies)).state)?.copied
  }

  test('an acknowledgement adds its records, and the anchor stays the same object', () => {
    const copied = copiedAfter('acknowledged where expected', counting)
    expect(copied?.records).toBe(40n)
    expect(copied?.anchor).toBe(anchor)
  })

  test('a recovery adds the records that the dead owner had copied', () => {
    expect(copiedAfter('recovered from a crash, some found', counting)).toEqual({
      records: 35n,
      anchor,
    })
  })

  test('a recovery that cannot count begins a new anchor behind the last copy that it found', () => {
    const { event }: { event: PartitionEvent } = eventCases['recovered from a crash, some found']
    if (event.kind !== 'recovered-from-crash') throw new Error('no recovery')
    const uncounted = { ...event, copiedRecords: null }
    const { state } = decide(counting, uncounted, contextWith())
    expect(positionOf(state)?.copied).toEqual({
      records: 30n,
      anchor: anchorAt(event.nextSourceOffset, event.copiedUpTo, 30n, 'uncounted'),
    })
  })

  test('a reset begins a new count at the log start of the new topic', () => {
    expect(copiedAfter('recreated, log start above 0', counting)).toEqual({
      records: 0n,
      anchor: anchorAt(30n, 40n, 0n, 'reset'),
    })
  })

  test('a position that goes back to a divergence point begins a new anchor there', () => {
    const { event, policies } = eventCases['diverged, policy continues']
    const { state } = decide(counting, event, contextWith(policies))
    expect(positionOf(state)?.copied).toEqual({
      records: 30n,
      anchor: anchorAt(60n, 40n, 30n, 'divergence'),
    })
  })

  test('a position of a version that did not count begins to count when it is observed', () => {
    const copied = { records: 0n, anchor: anchorAt(100n, 40n, 0n, 'uncounted') }
    expect(copiedAfter('in range', tableStates.replicating)).toEqual(copied)
    expect(copiedAfter('acknowledged where expected', tableStates.replicating)).toBeUndefined()
    expect(
      copiedAfter('recovered from a crash, some found', tableStates.replicating),
    ).toBeUndefined()
  })

  test('offsets that are skipped, and a truncation, change neither the count nor the anchor', () => {
    const continues = { onTruncation: 'continue' } as const
    const cases = ['skipped', 'behind the log start, policy continues'] as const
    for (const name of cases) {
      expect(copiedAfter(name, counting, continues)).toEqual({ records: 30n, anchor })
    }
  })
})

describe('the incident', () => {
  const found = (name: EventCase, policies = {}) => {
    const { event } = eventCases[name]
    return decide(tableStates.replicating, event, contextWith(policies)).incidents.at(-1)
  }

  test('the incident about a truncation names exactly the lost range', () => {
    expect(found('behind the log start, policy continues')).toMatchObject({
      expectedOffset: 100n,
      foundOffset: 500n,
      lostRecordsMax: 400n,
      evidence: { topicId: 'source-1', logEndOffset: '600' },
    })
  })

  test('the incident about a reset names both topic ids, and how many known records of the old topic were not copied', () => {
    expect(found('recreated, log start above 0')).toMatchObject({
      expectedOffset: 100n,
      foundOffset: 30n,
      lostRecordsMax: null,
      evidence: {
        topicId: 'source-1',
        recreatedAs: 'source-2',
        newTopicLostRecordsMax: '30',
        lastSeenLogEndOffset: '150',
        knownUnreplicatedRecordsMax: '50',
      },
    })
  })

  test('a reset under a halting policy keeps the last observed log end of the old topic', () => {
    const { event } = eventCases['recreated, policy halts']
    const decision = decide(tableStates.replicating, event, contextWith({ onReset: 'halt' }))
    expect(positionOf(decision.state)).toMatchObject({
      sourceTopicId: 'source-1',
      lastSeenLogEndOffset: 150n,
    })
  })

  test('the incident about a divergence names the offsets that only the target has', () => {
    expect(found('diverged')).toMatchObject({
      expectedOffset: 100n,
      foundOffset: 60n,
      lostRecordsMax: 0n,
      evidence: {
        recordsOnlyOnTargetMax: '40',
        lastEpoch: '3',
        divergingEpoch: '2',
        divergingEpochEndOffset: '70',
        onlyOnTargetFrom: '24',
        onlyOnTargetTo: '40',
        onlyOnTargetFromIs: 'exact',
      },
    })
  })

  test('the incident about a divergence that cannot be located names an upper bound and no offset to go on at', () => {
    expect(found('diverged at or before an offset, policy continues')).toMatchObject({
      expectedOffset: 100n,
      foundOffset: null,
      lostRecordsMax: null,
      evidence: { divergesAtOrBefore: '60' },
    })
  })

  test('the incident about a target that is not empty names its log end, and halts under every policy', () => {
    const { event } = eventCases['first seen, from the log end']
    const context = contextWith({ startFrom: 'log-end', onReset: 'resume' })
    const { incidents, state } = decide(tableStates.unstarted, event, context)
    expect(incidents).toMatchObject([
      {
        id: 'target-not-empty:orders:7:target-1:40',
        expectedOffset: 0n,
        foundOffset: 40n,
        lostRecordsMax: 0n,
        evidence: { targetTopicId: 'target-1', targetLogEndOffset: '40', topicId: 'source-1' },
      },
    ])
    expect(state).toMatchObject({ kind: 'halted', incidentId: incidents[0]?.id })
  })

  test('the incident about a refused batch names its offset and the reason', () => {
    expect(found('refused as unsupported')).toMatchObject({
      expectedOffset: 100n,
      foundOffset: 100n,
      evidence: { detail: 'holes' },
    })
  })
})

test('a partition that waits because a reset took it away, and halts for that reset, keeps it open', () => {
  const context = contextWith({ onReset: 'halt' })
  const { event } = eventCases['missing from a narrower topic']
  const gone = decide(tableStates.replicating, event, context)
  const back = decide(gone.state, eventCases['recreated, policy halts'].event, context)
  expect(cellOf(back)).toMatchObject({ to: 'halted', commands: ['save', 'stop halted'] })
  expect(back.state).toMatchObject({ incidentId: gone.incidents[0]?.id })
  expect(back.incidents).toMatchObject([{ id: gone.incidents[0]?.id, resolution: 'open' }])
})

describe('a partition that waits for a new standby topic', () => {
  const context = contextWith({ onReset: 'recreate' })
  const { event } = eventCases['recreated, policy recreates']
  const found = decide(tableStates.replicating, event, context)

  test('keeps the position of the old topics, and its incident says what it waits for', () => {
    expect(found.state).toEqual({
      kind: 'waiting',
      position: tablePosition,
      incidentId: 'topic-reset:orders:7:source-1',
    })
    expect(found.incidents).toMatchObject([
      { resolution: 'open', foundOffset: 0n, evidence: { onReset: 'recreate' } },
    ])
  })

  test('writes nothing while the old standby topic is there', () => {
    const again = decide(found.state, event, context)
    expect(again.state).toBe(found.state)
    expect(again).toMatchObject({ incidents: [], commands: [{ kind: 'stop', outcome: 'waiting' }] })
  })

  test('begins anew once its standby topic is new, and ends its incident', () => {
    const { event: both } = eventCases['target recreated and empty, source too, policy recreates']
    const begun = decide(found.state, both, context)
    expect(cellOf(begun)).toMatchObject({
      to: 'replicating',
      next: 0n,
      commands: ['save', 'fetch'],
    })
    expect(begun.incidents).toMatchObject([
      { id: found.incidents[0]?.id, resolution: 'continued', foundOffset: 0n },
    ])
    expect(begun.incidents[0]?.evidence).not.toHaveProperty('onReset')
  })

  test('follows another policy that the operator sets meanwhile', () => {
    const resumed = decide(found.state, event, contextWith({ onReset: 'resume' }))
    expect(cellOf(resumed)).toMatchObject({
      to: 'replicating',
      next: 0n,
      commands: ['save', 'fetch'],
    })
    expect(resumed.incidents).toMatchObject([
      { id: found.incidents[0]?.id, resolution: 'continued' },
    ])
    const halting = decide(found.state, event, contextWith({ onReset: 'halt' }))
    expect(cellOf(halting)).toMatchObject({ to: 'halted', commands: ['save', 'stop halted'] })
    expect(halting.incidents).toMatchObject([{ id: found.incidents[0]?.id, resolution: 'open' }])
  })
})

test('a partition that waits and finds both topics new begins at the start of both, with a producer of its own', () => {
  const { event } = eventCases['target recreated and empty, source too']
  const { state, incidents } = decide(tableStates.waiting, event, contextWith())
  expect(state).toMatchObject({
    kind: 'replicating',
    position: {
      sourceTopicId: 'source-2',
      targetTopicId: 'target-2',
      nextSourceOffset: 0n,
      nextTargetOffset: 0n,
      epochs: [],
      logEnds: [],
      producer: null,
    },
  })
  expect(incidents).toMatchObject([
    { kind: 'topic-reset', evidence: { targetTopicId: 'target-1', targetRecreatedAs: 'target-2' } },
  ])
})

test.each([
  ['translated before', {}],
  [
    'shifted before',
    {
      sameOffsets: {
        ...{ distance: 7n, since: sourceOffset(30n), atMs: 1, reason: 'large-hole' as const },
      },
    },
  ],
  ['given up before', { offsetsLeft: { since: sourceOffset(30n), atMs: 1 } }],
])('where both topics are new, the offsets are the same, though they were %s', (_, before) => {
  const { event } = eventCases['target recreated and empty, source too']
  const state = { ...tableStates.waiting, position: { ...tablePosition, ...before } }
  const preserving = decide(state, event, contextWith({ offsets: 'preserve' }))
  expect(positionOf(preserving.state)).toMatchObject({
    sameOffsets: { distance: 0n, since: 0n, reason: 'reset' },
  })
  expect(positionOf(preserving.state)).not.toHaveProperty('offsetsLeft')
  const translating = decide(state, event, contextWith({ offsets: 'translate' }))
  expect(positionOf(translating.state)).not.toHaveProperty('sameOffsets')
})

// Small numbers on purpose: equal, neighbouring and crossing offsets must be common.
const offsets = fc.bigInt({ min: 0n, max: 12n })
const topicIds = fc.constantFrom('topic-1', 'topic-2')
// An observation of a target that ends behind the position is never delivered, and a target that
// ends in front of it halts at once: most must match, or the later checks are not reached.
const targetTopicIds = fc.constantFrom('topic-1', 'topic-1', 'topic-1', 'topic-2')
const targetOffsets = fc
  .oneof(
    { weight: 7, arbitrary: fc.constant(5n) },
    { weight: 1, arbitrary: fc.constant(0n) },
    { weight: 2, arbitrary: offsets },
  )
  .map(targetOffset)

const bare: fc.Arbitrary<Position> = fc.record({
  sourceTopicId: topicIds,
  targetTopicId: targetTopicIds,
  nextSourceOffset: offsets.map(sourceOffset),
  nextTargetOffset: targetOffsets,
  epochs: fc.constant([]),
  lastSeenLogEndOffset: fc.option(offsets.map(sourceOffset)),
  lastTimestampMs: fc.option(fc.bigInt({ min: 0n, max: 9n })),
  rewinds: fc.constantFrom(0, 1),
  producer: fc.constant(null),
})
const positions = bare.chain(position =>
  fc
    .subarray([...Array(Number(position.nextSourceOffset)).keys()], {
      maxLength: Math.min(4, Number(position.nextSourceOffset)),
    })
    .map(starts => ({
      ...position,
      epochs: starts.map((start, epoch) => ({
        epoch,
        sourceOffset: sourceOffset(BigInt(start)),
        targetOffset: null,
      })),
    })),
)

const withPosition: fc.Arbitrary<Exclude<PartitionState, { kind: 'unstarted' }>> = fc.oneof(
  fc.record({ kind: fc.constant('replicating' as const), position: positions }),
  fc.record({
    kind: fc.constantFrom('waiting' as const, 'halted' as const),
    position: positions,
    incidentId: fc.constantFrom(
      'why',
      'topic-reset:orders:7:topic-1',
      'topic-reset:orders:7:topic-2',
    ),
  }),
)
const states: fc.Arbitrary<PartitionState> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ kind: 'unstarted' } as const) },
  { weight: 5, arbitrary: withPosition },
)

/** A log is start <= last stable <= end. */
const sources = fc.tuple(topicIds, offsets, offsets, offsets).map(([topicId, ...points]) => {
  const [start = 0n, stable = 0n, end = 0n] = points.sort((left, right) => (left < right ? -1 : 1))
  return {
    topicId,
    logStartOffset: sourceOffset(start),
    lastStableOffset: sourceOffset(stable),
    logEndOffset: sourceOffset(end),
  }
})

const observations = fc.record({
  kind: fc.constant('observed' as const),
  source: sources,
  target: fc.record({ topicId: targetTopicIds, logEndOffset: targetOffsets }),
  cleanHandOver: fc.constantFrom(true, true, true, false),
  fetchWasOutOfRange: fc.boolean(),
  topicIsKnown: fc.boolean(),
})

const events: fc.Arbitrary<PartitionEvent> = fc.oneof(
  { weight: 4, arbitrary: observations },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('source-missing' as const),
      recreatedAs: fc.option(topicIds),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('diverged' as const),
      epoch: fc.nat(3),
      endOffset: offsets.map(sourceOffset),
      divergencePoint: fc.record({
        kind: fc.constantFrom('at' as const, 'at-or-before' as const),
        sourceOffset: offsets.map(sourceOffset),
      }),
      onlyOnTarget: fc.constant(null),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('acknowledged' as const),
      baseOffset: offsets.map(targetOffset),
      recordsCount: fc.integer({ min: 1, max: 4 }),
      nextSourceOffset: offsets.map(sourceOffset),
      epoch: fc.nat(3),
      maxTimestampMs: fc.bigInt({ min: 0n, max: 9n }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('skipped' as const),
      nextSourceOffset: offsets.map(sourceOffset),
      epoch: fc.option(fc.nat(3)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('refused' as const),
      as: fc.constantFrom('unsupported-batch' as const, 'record-too-large' as const),
      offset: offsets.map(sourceOffset),
      detail: fc.constant('why'),
    }),
  },
)

const contexts: fc.Arbitrary<DecideContext> = fc
  .record({
    startFrom: fc.constantFrom('log-start' as const, 'log-end' as const),
    offsets: fc.constantFrom('preserve' as const, 'translate' as const),
    onTruncation: fc.constantFrom('halt' as const, 'continue' as const),
    onReset: fc.constantFrom('resume' as const, 'halt' as const, 'recreate' as const),
    onDivergence: fc.constantFrom('halt' as const, 'continue' as const),
  })
  .map(policies => contextWith(policies))

/** Checks the decision for any state, event and policies that the loop may deliver. */
function forEveryDecision(
  check: (input: {
    readonly state: PartitionState
    readonly event: PartitionEvent
    readonly decision: Decision
    readonly before: Position | null
    readonly after: Position | null
  }) => void,
): void {
  fc.assert(
    fc.property(states, events, contexts, (state, event, context) => {
      let decision: Decision
      try {
        decision = decide(state, event, context)
      } catch (error) {
        // The table above covers events that the loop must never deliver.
        if (error instanceof AssertionError) fc.pre(false)
        throw error
      }
      check({
        state,
        event,
        decision,
        before: positionOf(state),
        after: positionOf(decision.state),
      })
    }),
    { numRuns: 3_000 },
  )
}

function disowns({ incidents }: Decision): boolean {
  return incidents.some(each => each.kind === 'log-diverged' && each.resolution === 'continued')
}

describe('whatever happens', () => {
  test('a position that passes over source offsets without copying has an incident that says so', () => {
    forEveryDecision(({ event, decision, before, after }) => {
      if (before === null || after === null) return
      if (event.kind === 'acknowledged' || event.kind === 'skipped') return
      const isSame =
        before.nextSourceOffset === after.nextSourceOffset &&
        before.sourceTopicId === after.sourceTopicId
      if (isSame) return
      const why = decision.incidents.find(each => each.kind !== 'target-drifted')
      expect(['log-truncated', 'topic-reset', 'log-diverged']).toContain(why?.kind)
      expect(why).toMatchObject({
        expectedOffset: before.nextSourceOffset,
        foundOffset: after.nextSourceOffset,
      })
      expect(why?.resolution).toBe('continued')
    })
  })

  test('a truncation names the range from the next source offset up to the log start, and nothing else', () => {
    forEveryDecision(({ event, decision, before }) => {
      for (const incident of decision.incidents) {
        if (incident.kind !== 'log-truncated' || event.kind !== 'observed') continue
        const range = { from: before?.nextSourceOffset, to: event.source.logStartOffset }
        expect(lostRange(incident)).toEqual(range)
        expect(incident.lostRecordsMax).toBe(range.to - (range.from ?? 0n))
        expect(incident.lostRecordsMax).toBeGreaterThan(0n)
      }
    })
  })

  test('a position goes backwards only in another topic, or where the source says its log diverged', () => {
    forEveryDecision(({ decision, before, after }) => {
      if (before === null || after === null) return
      if (after.nextSourceOffset >= before.nextSourceOffset) return
      const kinds = decision.incidents.map(each => each.kind)
      if (after.sourceTopicId === before.sourceTopicId) expect(kinds).toContain('log-diverged')
      else expect(kinds).toContain('topic-reset')
    })
  })

  test('the epoch history is that of the records before the position, as they were copied', () => {
    forEveryDecision(({ event, decision, before, after }) => {
      if (before === null || after === null) return
      for (const { sourceOffset } of after.epochs) {
        expect(sourceOffset).toBeLessThan(after.nextSourceOffset)
      }
      const hasMoved = after.nextSourceOffset !== before.nextSourceOffset
      const isSame = after.sourceTopicId === before.sourceTopicId
      if ((event.kind === 'acknowledged' || event.kind === 'skipped') && hasMoved) {
        expect(lastEpochOf(after.epochs)).toBe(event.epoch)
      } else if (!hasMoved && isSame && !disowns(decision)) {
        expect(after.epochs).toEqual(before.epochs)
      } else {
        // A fetch with a diverged epoch would be answered with the same divergence for ever.
        const common = disowns(decision) ? historyBefore(before.epochs, after.nextSourceOffset) : []
        expect(after.epochs).toEqual(common)
      }
    })
  })

  test('an incident, and a target offset that was not acknowledged, are stored before anything is fetched', () => {
    forEveryDecision(({ event, decision, before, after }) => {
      const commands = decision.commands.map(each => each.kind)
      const isReanchored =
        event.kind !== 'acknowledged' && before?.nextTargetOffset !== after?.nextTargetOffset
      if (decision.incidents.length === 0 && !isReanchored) return
      expect(commands).toContain('save-checkpoint')
      const fetch = commands.indexOf('fetch')
      if (fetch >= 0) expect(commands.indexOf('save-checkpoint')).toBeLessThan(fetch)
    })
  })

  test('the state of a partition names its open incident, and no other state goes past one', () => {
    forEveryDecision(({ state, decision }) => {
      const open = decision.incidents.filter(each => each.resolution === 'open')
      expect(open.length).toBeLessThanOrEqual(1)
      const named = 'incidentId' in decision.state ? decision.state.incidentId : null
      if (open[0] !== undefined) expect(named).toBe(open[0].id)
      else if (named !== null) expect(decision.state).toEqual(state)
    })
  })

  test('an incident for which a partition waits or halts is not ended', () => {
    forEveryDecision(({ decision }) => {
      const named = 'incidentId' in decision.state ? decision.state.incidentId : null
      for (const command of decision.commands) {
        if (command.kind === 'resolve-incident') expect(command.id).not.toBe(named)
      }
    })
  })

  test('a partition that waits or halts is not copied, and one that is copied neither waits nor halts', () => {
    forEveryDecision(({ decision }) => {
      const stops = decision.commands.flatMap(each => (each.kind === 'stop' ? [each.outcome] : []))
      const fetches = decision.commands.filter(each => each.kind === 'fetch')
      expect(stops.length + fetches.length).toBeLessThanOrEqual(1)
      const kind = decision.state.kind
      if (kind === 'halted' || kind === 'waiting') expect(stops).toEqual([kind])
      else expect(stops.filter(each => each === 'halted' || each === 'waiting')).toEqual([])
    })
  })

  test('identity comes before offsets: another topic is a reset, never a truncation or a divergence', () => {
    forEveryDecision(({ event, decision, before }) => {
      if (event.kind !== 'observed' || before === null) return
      if (event.source.topicId === before.sourceTopicId) return
      const kinds = decision.incidents.map(each => each.kind)
      expect(kinds).not.toContain('log-truncated')
      expect(kinds).not.toContain('log-diverged')
    })
  })

  test('a target that may hold more than the checkpoint says is recovered first: no observation decides about it', () => {
    fc.assert(
      fc.property(withPosition, observations, contexts, (state, event, context) => {
        if (!needsRecovery(state, event)) {
          const kinds = decide(state, event, context).incidents.map(each => each.kind)
          expect(kinds).not.toContain('target-drifted')
        } else expect(() => decide(state, event, context)).toThrow(AssertionError)
      }),
      { numRuns: 3_000 },
    )
  })

  test('a log end that lies before the position is a divergence only where a fetch was refused as well', () => {
    forEveryDecision(({ event, decision }) => {
      if (event.kind !== 'observed' || event.fetchWasOutOfRange) return
      expect(decision.incidents.map(each => each.kind)).not.toContain('log-diverged')
    })
  })

  test('a partition starts only where nothing was ever written to its target', () => {
    forEveryDecision(({ state, event, decision }) => {
      if (state.kind !== 'unstarted' || event.kind !== 'observed') return
      const isEmpty = event.target.logEndOffset === 0n
      expect(decision.state.kind).toBe(isEmpty ? 'replicating' : 'halted')
      expect(decision.incidents).toHaveLength(isEmpty ? 0 : 1)
    })
  })

  test('a halted partition stays as it is', () => {
    forEveryDecision(({ state, decision }) => {
      if (state.kind === 'halted') expect(decision).toMatchObject({ state, incidents: [] })
    })
  })

  test('the same state, event and policies get the same decision, and no input is changed', () => {
    fc.assert(
      fc.property(states, events, contexts, (state, event, context) => {
        deepFreeze([state, event, context])
        const ask = (): unknown => {
          try {
            return deepFreeze(decide(state, event, context))
          } catch (error) {
            // A change of a frozen object is a TypeError; only an AssertionError is a valid answer.
            if (error instanceof AssertionError) return error.message
            throw error
          }
        }
        expect(ask()).toEqual(ask())
      }),
      { numRuns: 2_000 },
    )
  })

  test('the same cause has the same incident, whenever it is detected', () => {
    fc.assert(
      fc.property(withPosition, observations, contexts, (state, event, context) => {
        fc.pre(!needsRecovery(state, event))
        const ids = (nowMs: number) =>
          decide(state, event, { ...context, nowMs }).incidents.map(each => each.id)
        expect(ids(1)).toEqual(ids(2))
      }),
    )
  })
})

describe('holes are normal', () => {
  /** Batches in order, with holes of any size between them: compaction, markers, aborted data. */
  const batches = fc.array(
    fc.record({
      hole: fc.bigInt({ min: 0n, max: 1_000n }),
      recordsCount: fc.integer({ min: 0, max: 50 }),
    }),
    { maxLength: 30 },
  )

  test('whatever offsets are missing between batches, no incident is raised and no partition stops', () => {
    fc.assert(
      fc.property(batches, contexts, (parts, context) => {
        let state: PartitionState = tableStates.replicating
        let at = tablePosition.nextSourceOffset as bigint
        let target = tablePosition.nextTargetOffset as bigint
        for (const { hole, recordsCount } of parts) {
          at += hole + BigInt(recordsCount)
          const nextSourceOffset = sourceOffset(at)
          const batch = {
            baseOffset: targetOffset(target),
            recordsCount,
            nextSourceOffset,
            epoch: 3,
            maxTimestampMs: 0n,
          }
          const event: PartitionEvent =
            recordsCount === 0
              ? { kind: 'skipped', nextSourceOffset, epoch: 3 }
              : { kind: 'acknowledged', ...batch }
          const decision = decide(state, event, context)
          expect(decision).toMatchObject({ incidents: [], commands: [] })
          state = decision.state
          target += BigInt(recordsCount)
        }
        expect(positionOf(state)).toMatchObject({ nextSourceOffset: at, nextTargetOffset: target })
      }),
    )
  })
})
