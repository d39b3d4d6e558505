import { describe, expect, test } from 'vitest'
import { fillPlacesMax, policyDefaults } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import {
  begunPadded,
  nextFillers,
  type Padding,
  readPadding,
  sequenceAt,
  writePadding,
} from '../../../../lib/core/offsets/padding.ts'
import {
  paddingOffsetsMax as offsetsMax,
  paddingOffsetsMin as offsetsMin,
} from '../../../../lib/core/offsets/padding-limits.ts'
import { needsRecovery } from '../../../../lib/core/partition/crash-recovery.ts'
import { decide } from '../../../../lib/core/partition/decide.ts'
import type { Decision, PartitionEvent } from '../../../../lib/core/partition/decision.ts'
import { type PartitionState, positionOf } from '../../../../lib/core/partition/partition-state.ts'

const START = 3_000_000n
const paddingOffsetsMin = BigInt(offsetsMin)
const paddingOffsetsMax = BigInt(offsetsMax)
const seen = { atMs: 7, reason: 'start' } as const
const owned = { 'cleanup.policy': 'compact', 'retention.ms': '604800000', 'retention.bytes': null }

const begins = (at: { source: bigint; target?: bigint }) =>
  begunPadded(
    { sourceOffset: sourceOffset(at.source), targetOffset: targetOffset(at.target ?? 0n) },
    seen,
  )

const producer = {
  producerId: 5n,
  producerEpoch: 0,
  nextSequence: 0,
  assignedAtMs: 1,
  fencing: 'transactional-id',
} as const

type Seen = { source?: bigint; sourceId?: string; start?: bigint; end?: bigint; clean?: boolean }

function look({ source = START, sourceId = 's', start = 0n, end = 0n, clean = true }: Seen) {
  return {
    kind: 'observed' as const,
    source: {
      topicId: sourceId,
      logStartOffset: sourceOffset(source),
      lastStableOffset: sourceOffset(source + 50n),
      logEndOffset: sourceOffset(source + 50n),
    },
    target: { topicId: 't', logEndOffset: targetOffset(end), logStartOffset: targetOffset(start) },
    cleanHandOver: clean,
    fetchWasOutOfRange: false,
    topicIsKnown: false,
  }
}

function decided(state: PartitionState, event: PartitionEvent): Decision {
  const scope = { flow: 'f', topic: 'orders', partition: 0 }
  return decide(state, event, {
    scope,
    policies: { ...policyDefaults, offsets: 'preserve' },
    nowMs: 9,
  })
}

const started = () => decided({ kind: 'unstarted' }, look({}))

function filling(more: Partial<Padding> = {}): PartitionState {
  const { state } = decided(started().state, { kind: 'producer-assigned', producer })
  const position = positionOf(state)
  if (position?.padding === undefined) throw new Error('nothing is padded')
  return {
    kind: 'replicating',
    position: { ...position, padding: { ...position.padding, ...more } as Padding },
  }
}

const kinds = ({ commands }: Decision) => commands.map(each => each.kind)
const paddingOf = ({ state }: Decision) => positionOf(state)?.padding

describe('where copying begins', () => {
  test('a few missing offsets are filled by markers, more are padded, too many shift', () => {
    expect(begins({ source: paddingOffsetsMin - 1n }).padding).toBe(undefined)
    expect(begins({ source: paddingOffsetsMin }).padding).toMatchObject({ stage: 'filling' })
    expect(begins({ source: paddingOffsetsMax })).toMatchObject({
      sameOffsets: { distance: 0n, since: paddingOffsetsMax, reason: 'start' },
      padding: { stage: 'filling', to: paddingOffsetsMax, restores: null },
    })
    expect(begins({ source: paddingOffsetsMax + 1n })).toMatchObject({
      sameOffsets: { distance: -(paddingOffsetsMax + 1n) },
      padding: { stage: 'impossible', obstacle: 'too-many-offsets' },
    })
  })

  test('a target with records is never padded', () => {
    expect(begins({ source: START, target: 5n })).toMatchObject({
      sameOffsets: { distance: 5n - START },
    })
    expect(begins({ source: START, target: 5n }).padding).toBe(undefined)
  })

  test('the checkpoint says so before the first filler', () => {
    expect(kinds(started())).toEqual(['save-checkpoint', 'pad'])
    expect(positionOf(started().state)).toMatchObject({
      nextTargetOffset: 0n,
      nextSourceOffset: START,
    })
  })
})

describe('a target that is being filled', () => {
  test('holds nothing of an earlier owner that must be recovered', () => {
    expect(needsRecovery(filling(), look({ end: 1_048_576n, clean: false }))).toBe(false)
  })

  test.each([
    { what: 'is not filled', start: 0n, end: 1_048_576n },
    { what: 'is filled and visible', start: 0n, end: START },
    { what: 'is hidden in part', start: START - 1n, end: START },
  ])('is padded further while it $what', ({ start, end }) => {
    const decision = decided(filling(), look({ start, end }))
    expect(kinds(decision)).toEqual(['save-checkpoint', 'pad'])
    expect(paddingOf(decision)).toMatchObject({ stage: 'filling', to: START })
  })

  test('is copied to once its log starts where the source does, with the next sequence', () => {
    const decision = decided(filling(), look({ start: START, end: START, clean: false }))
    expect(kinds(decision)).toEqual(['save-checkpoint', 'fetch'])
    expect(positionOf(decision.state)).toMatchObject({
      nextSourceOffset: START,
      nextTargetOffset: START,
      producer: { nextSequence: Number(START) },
      padding: { stage: 'done', to: START },
      sameOffsets: { distance: 0n },
    })
  })

  test('is not copied to before its topic has its own configs again', () => {
    const decision = decided(filling({ restores: owned }), look({ start: START, end: START }))
    expect(kinds(decision)).toEqual(['save-checkpoint', 'pad'])
    expect(paddingOf(decision)).toMatchObject({ stage: 'filling', restores: owned })
  })

  test('is filled to the end where retention removes more of the source, and then is a truncation', () => {
    const moved = look({ source: START + 20n, start: START, end: START })
    const decision = decided(filling({ restores: owned }), moved)
    expect(decision.incidents).toEqual([])
    expect(kinds(decision)).toEqual(['save-checkpoint', 'pad'])
    const done = decided(filling(), moved)
    expect(done.incidents.map(each => each.kind)).toEqual(['log-truncated'])
  })

  test('is filled to the end for a source that was recreated, and then is a reset', () => {
    const other = { source: 0n, sourceId: 'other' }
    expect(kinds(decided(filling(), look({ ...other, end: 5n })))).toEqual([
      'save-checkpoint',
      'pad',
    ])
    const decision = decided(filling(), look({ ...other, start: START, end: START }))
    expect(decision.incidents.map(each => each.kind)).toEqual(['topic-reset'])
  })

  test.each([
    { source: START, distance: -START },
    { source: BigInt(fillPlacesMax), distance: 0n },
  ])(
    'shifts, or fills by markers, where it cannot be padded: from $source',
    ({ source, distance }) => {
      const begun = decided({ kind: 'unstarted' }, look({ source })).state
      const decision = decided(begun, { kind: 'not-padded', obstacle: 'delete-denied' })
      expect(kinds(decision)).toEqual(['save-checkpoint'])
      expect(positionOf(decision.state)).toMatchObject({
        producer: null,
        sameOffsets: { distance, reason: 'start' },
        padding: { stage: 'impossible', obstacle: 'delete-denied' },
      })
    },
  )

  test("halts at another producer's records", () => {
    const { target } = look({ end: START + 3n })
    const decision = decided(filling(), { kind: 'padding-not-ours', target })
    expect(decision.incidents.map(each => each.kind)).toEqual(['target-not-empty'])
    expect(decision.state.kind).toBe('halted')
    expect(paddingOf(decision)).toBe(undefined)
  })
})

describe('a target that was padded', () => {
  const done = filling({ stage: 'done' })
  const copied = decided(filling(), look({ start: START, end: START })).state

  test('hides its fillers again before a crash is recovered from, and before a record is copied', () => {
    expect(needsRecovery(copied, look({ end: START + 9n, clean: false }))).toBe(false)
    expect(kinds(decided(copied, look({ end: START })))).toEqual(['save-checkpoint', 'pad'])
    expect(needsRecovery(copied, look({ start: START, end: START + 9n }))).toBe(true)
    expect(kinds(decided(copied, look({ start: START + 1n, end: START })))).toEqual(['fetch'])
    expect(done.kind).toBe('replicating')
  })

  test('owes its topic the configs that it had, until they are back', () => {
    const altered = decided(copied, { kind: 'padding-configs', restores: owned })
    expect(paddingOf(altered)).toEqual({ stage: 'hiding', to: START, restores: owned })
    expect(kinds(decided(altered.state, look({ start: START, end: START })))).toContain('pad')
    const back = decided(altered.state, { kind: 'padding-configs', restores: null })
    expect(paddingOf(back)).toEqual({ stage: 'done', to: START })
  })
})

test('offset and sequence of a filler say the same, also where sequences begin anew', () => {
  expect(sequenceAt(0n)).toBe(0)
  expect(sequenceAt(2n ** 31n - 1n)).toBe(2 ** 31 - 1)
  expect(sequenceAt(2n ** 31n + 5n)).toBe(5)
})

test('owners that find the same end send the same batches', () => {
  const batches: number[] = []
  for (let from = 0n; from < 2_500n; from += BigInt(batches.at(-1) ?? 0)) {
    batches.push(nextFillers(from, 2_500n, 1_024))
  }
  expect(batches).toEqual([1_024, 1_024, 256, 128, 64, 4])
})

test('padding is read as it was written, and nothing else is', () => {
  const to = targetOffset(START)
  const all: Padding[] = [
    { stage: 'filling', to, restores: null },
    { stage: 'filling', to, restores: owned },
    { stage: 'hiding', to, restores: { ...owned, 'cleanup.policy': null, 'retention.ms': null } },
    { stage: 'done', to },
    { stage: 'impossible', obstacle: 'small-batches' },
  ]
  for (const each of all) expect(readPadding(writePadding(each))).toEqual(each)
  for (const text of [
    '',
    'done',
    'done x',
    'hiding 5',
    'filled 5',
    'impossible',
    `done ${2n ** 63n}`,
  ]) {
    expect(readPadding(text)).toBe(null)
  }
})
