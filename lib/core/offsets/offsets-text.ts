// Owns the sentences about the offsets of a partition: where they are the same, by how much they
// are shifted, from which offset on, and why. Does not own when they shift
// (core/partition/decide.ts).

import { partitionName, type TopicPartition } from '../topic-partition.ts'
import type { Padding, PaddingObstacle } from './padding.ts'
import type { OffsetsLeft, SameOffsets, ShiftReason } from './same-offsets.ts'

const why: Record<ShiftReason, string> = {
  start: 'copying began there, and the standby is not filled up to it',
  reset: 'the source topic was recreated, and the standby topic goes on',
  divergence: "the source's log diverged, and copying went back to where it did",
  resume: 'an operator moved the position',
  'foreign-records': 'records of another producer stand on the standby where copies were to go',
  'refused-sequence':
    'the standby refused the sequence of the next record, and a marker began a new one',
  'large-hole': 'the hole of the source in front of it is larger than is filled',
}

/** Why the standby is not filled up to the first record, where that was to be done. */
const whyNotPadded: Record<PaddingObstacle, string> = {
  'too-many-offsets': 'there are too many offsets in front of the first record to fill them',
  'compression-type':
    'compression.type of the standby topic is not producer, so it takes no fillers',
  'small-batches': 'max.message.bytes of the standby topic is too small for a batch of fillers',
  'configs-denied': 'the standby denies DescribeConfigs, which filling the standby topic needs',
  'alter-denied': 'the standby denies AlterConfigs, which filling a compacted topic needs',
  'delete-denied': 'the standby denies DeleteRecords (operation Delete), which hides fillers',
  'fillers-refused': 'the standby refused the first fillers',
}

function reasonOf({ reason }: SameOffsets, padding: Padding | undefined): string {
  const begins = reason === 'start' || reason === 'reset'
  const isImpossible = begins && padding?.stage === 'impossible'
  return isImpossible ? notPaddedText(padding.obstacle) : why[reason]
}

export function notPaddedText(obstacle: PaddingObstacle): string {
  return whyNotPadded[obstacle]
}

/** `fillers: markers` is configured, and the standby takes none. */
export function markersRefusedText(about: {
  readonly flow: string
  readonly cluster: string
  readonly why: string
}): string {
  const { flow, cluster, why } = about
  return (
    `Cluster ${cluster} takes no markers of gapless (WriteTxnMarkers: ${why}): flow ${flow} fills holes by ` +
    'transactions, which is slower. Allow the principal of gapless Alter on that cluster (kafka-acls --add ' +
    '--operation Alter --cluster), or set "fillers: transactions" (docs/SECURITY.md says what the right reaches).'
  )
}

/** The source makes holes faster than they are filled. */
export function outrunText(
  {
    topic,
    partition,
    flow,
    fillers,
  }: TopicPartition & {
    readonly flow: string
    readonly fillers: 'transactions' | 'markers'
  },
  { perSecond, share }: { readonly perSecond: number; readonly share: number },
): string {
  const other = fillers === 'markers' ? '' : 'set "fillers: markers" (docs/SECURITY.md), or '
  return (
    `${partitionName({ topic, partition })} (flow ${flow}) falls behind: the standby takes ${grouped(BigInt(perSecond))} ` +
    `fillers a second of it, and each second of the source needs ${share.toFixed(1)} s of filling. More partitions ` +
    `share the work; or ${other}"offsets: translate" for this topic (docs/OFFSETS.md).`
  )
}

type About = TopicPartition & {
  readonly flow: string
  readonly targetTopic: string
  /** The name of the standby's cluster. */
  readonly cluster: string
}

/** The part of a position that says where its records are. */
type Placed = {
  readonly nextSourceOffset: bigint
  readonly sameOffsets?: SameOffsets
  readonly offsetsLeft?: OffsetsLeft
  readonly padding?: Padding
  /** The producer that gapless writes with; `none`: no transaction can fill a hole. */
  readonly producer: { readonly fencing: 'transactional-id' | 'none' } | null
}

/** The log line of a shift between two positions; null: the offsets of both have one distance. */
export function shiftText(
  about: About,
  before: Placed | null,
  after: Placed | null,
): string | null {
  if (after === null) return null
  const { sameOffsets: left } = before ?? {}
  const { sameOffsets: next } = after
  const { cluster, targetTopic, flow } = about
  const name = partitionName(about)
  const then = `To see where an offset lies: gapless translate ${about.topic}:${about.partition}@OFFSET --flow ${flow}`
  if (next === undefined) {
    if (left === undefined) return null
    return (
      `Offsets of ${name} (flow ${flow}) are translated from source offset ${after.nextSourceOffset} on: ` +
      `${because(after)}. ${then}`
    )
  }
  // A partition that begins has distance 0 where nothing is wrong.
  if (next.distance === (left?.distance ?? 0n)) return null
  const { since, distance } = next
  const where = `standby offset ${since + distance} of ${targetTopic} on cluster ${cluster}`
  const was = before === null ? '' : ` ${distanceBefore(left)}`
  return (
    `Offsets of ${name} (flow ${flow}) are shifted: from source offset ${since} on, records lie at their own offset ` +
    `${signed(distance)} (source offset ${since} at ${where}), because ${reasonOf(next, after.padding)}.${was} ${then}`
  )
}

/** How the offsets of a partition on the standby follow from those of the source. */
export type PlacedOffsets = {
  /** `same since ...`, `shifted by ...` or `translated`, with the reason where it is not wanted. */
  readonly text: string
  /** Target offset minus source offset; null where offsets are translated. */
  readonly distance: bigint | null
}

/** `wanted`: how the flow is configured. null: nothing was copied yet. */
export function offsetsOf(
  wanted: 'preserve' | 'translate',
  position: Placed | null,
): PlacedOffsets | null {
  if (position === null) return null
  const { sameOffsets: same } = position
  if (same === undefined) {
    const text = wanted === 'translate' ? 'translated' : `translated because ${because(position)}`
    return { text, distance: null }
  }
  const { distance, since } = same
  if (distance === 0n) return { text: `same since ${grouped(since)}`, distance }
  const from = `since source offset ${grouped(since)}`
  return {
    text: `shifted by ${signed(distance)} ${from} because ${reasonOf(same, position.padding)}`,
    distance,
  }
}

function distanceBefore(left: SameOffsets | undefined): string {
  if (left === undefined) return 'Offsets before it are translated.'
  if (left.distance === 0n) return 'Records before it have their own offsets.'
  return `Records before it lie at ${signed(left.distance)}.`
}

/** Why the offsets of a position without a distance are translated. */
function because({ producer, offsetsLeft }: Placed): string {
  if (offsetsLeft !== undefined) {
    const since = grouped(offsetsLeft.since)
    return (
      `filling the holes from source offset ${since} on would have taken longer than budgets.fillSecondsMax, ` +
      'or the source made them faster than they were filled'
    )
  }
  return producer?.fencing === 'none'
    ? 'the standby denies transactional ids, which fill the holes of the source'
    : 'the partition began while the flow had "offsets: translate"'
}

function signed(distance: bigint): string {
  return distance < 0n ? grouped(distance) : `+${grouped(distance)}`
}

function grouped(number: bigint): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',')
}
