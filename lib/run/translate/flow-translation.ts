// Owns the translation of offsets of a whole flow: the checkpoints and both logs are looked at
// once, and each question is answered from there. The row of anchors is read only where neither the
// anchor of the checkpoint nor the distance that its records keep reaches back far enough. Does not
// own the translation of one partition (translate-partition.ts, translate-back.ts).
//
// Works also while the source does not answer: offsets in a part of the log without holes need no
// record to be read, and for the others the records of the target make a bound.

import type { FlowConfig } from '../../core/config/config.ts'
import {
  type SourceOffset,
  sourceOffset,
  type TargetOffset,
  targetOffset,
} from '../../core/offset.ts'
import { anchorAt, anchorOfDistance } from '../../core/partition/copied-count.ts'
import { isTargetNotEmpty } from '../../core/partition/incidents.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import type { Checkpoint, CorruptCheckpoint } from '../../core/row/checkpoint.ts'
import { CorruptRowError } from '../../core/row/row.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import {
  type Anchor,
  type Anchors,
  anchorsUpTo,
  beganThere,
  withAnchor,
} from '../../core/translate/anchor.ts'
import type { AnchorStore } from '../../io/anchors/anchor-store.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { type BothSides, observeBoth, onTarget } from '../observe/both-clusters.ts'
import { type LogView, pointOf, type SeenLog } from '../observe/logs.ts'
import type { Translatable } from './segment-records.ts'
import { type TranslatedBack, translateOffsetsBack } from './translate-back.ts'
import { type Translated, translateOffsets } from './translate-partition.ts'

export type FlowTranslationDeps = BothSides & {
  readonly checkpoints: Pick<CheckpointStore, 'list'>
  readonly anchors: Pick<AnchorStore, 'read'>
}

/** Why no offset of a partition can be translated now. */
export type NotTranslatedReason =
  /** No run has copied anything of it yet, or its topic does not belong to the flow. */
  | 'no-checkpoint'
  /** Its row, or the row of its anchors, is in a form that gapless does not write. */
  | 'corrupt-row'
  /** Halted because the standby held records before the first copy: their place is unknown. */
  | 'standby-not-empty'
  /** The source topic was recreated: its offsets are those of other records. */
  | 'source-recreated'
  /** The standby topic is gone, was recreated, or ends before what was copied. */
  | 'standby-changed'
  | 'standby-unobserved'

export type NotTranslated = {
  readonly kind: 'not-translated'
  readonly reason: NotTranslatedReason
  /** A sentence for people, without a full stop. */
  readonly detail: string
}

type Answered<T> = {
  readonly kind: 'translated'
  readonly targetTopic: string
  /** In the order of the question. */
  readonly offsets: readonly T[]
  /** The log of the standby partition, high watermark as its end. */
  readonly standbyLog: { readonly start: TargetOffset; readonly end: TargetOffset }
  /** Where copying stands, by the last checkpoint; from there on the answer is `beyond`. */
  readonly position: Pick<Position, 'nextSourceOffset' | 'nextTargetOffset'>
  /** The high watermark of the source; null where it did not answer. */
  readonly sourceEnd: SourceOffset | null
  /** False: the source did not answer, so offsets beside holes are `bounded` at best. */
  readonly isSourceSeen: boolean
}

export type FlowTranslation = {
  /** The partitions of the flow that have a checkpoint, by topic and partition. */
  readonly partitions: readonly TopicPartition[]
  /** Source offsets to target offsets. `at` is the partition of the source. */
  translate(
    at: TopicPartition,
    offsets: readonly SourceOffset[],
  ): Promise<Answered<Translated> | NotTranslated>
  /** Target offsets to source offsets. `at` is the partition of the source here, too. */
  translateBack(
    at: TopicPartition,
    offsets: readonly TargetOffset[],
  ): Promise<Answered<TranslatedBack> | NotTranslated>
}

/**
 * Lists the checkpoints and observes both logs of their partitions, or of `only` one. Throws
 * `ReplicatorError` when the table does not answer; a cluster that does not is an answer.
 */
export async function openTranslation(
  deps: FlowTranslationDeps,
  flow: FlowConfig,
  only: TopicPartition | null = null,
): Promise<FlowTranslation> {
  const { checkpoints, corrupt } = await deps.checkpoints.list(flow.name)
  const isMeant = (each: TopicPartition) =>
    only === null || (each.topic === only.topic && each.partition === only.partition)
  const meant = checkpoints.filter(isMeant)
  const partitions = meant.map(({ topic, partition }) => ({ topic, partition }))
  const { sources, targets } = await observeBoth(deps, flow, partitions)
  const known = new Map(meant.map(each => [partitionName(each), each]))
  const unreadable = new Map(corrupt.filter(isMeant).map(each => [partitionName(each), each]))
  const locate = (at: TopicPartition): Located | NotTranslated => {
    const name = partitionName(at)
    const checkpoint = known.get(name)
    if (checkpoint === undefined) return withoutCheckpoint(at, unreadable.get(name))
    const views = { source: sources.of(at), target: targets.of(onTarget(flow, at)) }
    return located(checkpoint, views)
  }
  const rows = new Map<string, Promise<Anchors | NotTranslated>>()
  /** The anchors that are needed for a question that reaches back as far as `isEnough` says. */
  const anchorsFor = async (
    { checkpoint, position }: Located,
    isEnough: boolean,
  ): Promise<Anchors | NotTranslated> => {
    const { copied } = position
    const end = anchorAt(position, { atMs: checkpoint.updatedAtMs, reason: 'spacing' })
    if (copied === undefined || end === null) return [uncounted(position, checkpoint)]
    const kept = isEnough ? anchorOfDistance(position, null) : null
    if (kept !== null) return withAnchor([kept], end)
    const behind = (anchors: Anchors) => {
      const known = withAnchor(anchors, copied.anchor)
      const began = anchorOfDistance(position, known.at(-1) ?? null)
      return withAnchor(began === null ? known : withAnchor(known, began), end)
    }
    if (isEnough || beganThere(copied.anchor)) return behind([])
    const name = partitionName(checkpoint)
    const row = rows.get(name) ?? readRow(deps, checkpoint, position)
    rows.set(name, row)
    const before = await row
    return 'kind' in before ? before : behind(anchorsUpTo(before, copied.anchor))
  }
  /** `since` is where an anchor begins on the side that is asked about. */
  const ask = async <Offset extends bigint, T>(
    at: TopicPartition,
    offsets: readonly Offset[],
    by: {
      readonly since: (anchor: Anchor) => bigint
      readonly translate: (partition: Translatable) => Promise<readonly T[]>
    },
  ): Promise<Answered<T> | NotTranslated> => {
    const found = locate(at)
    if (found.kind !== 'located') return found
    const { position } = found
    const anchor = anchorOfDistance(position, null) ?? position.copied?.anchor
    const from = anchor === undefined ? 0n : by.since(anchor)
    const anchors = await anchorsFor(
      found,
      offsets.every(each => each >= from),
    )
    if ('kind' in anchors) return anchors
    return answered(deps, found, translatable => by.translate({ ...translatable, anchors }))
  }
  const reading = { ...deps, flow }
  return {
    partitions,
    translate: (at, offsets) =>
      ask(at, offsets, {
        since: anchor => anchor.sourceOffset,
        translate: partition => translateOffsets(reading, partition, offsets),
      }),
    translateBack: (at, offsets) =>
      ask(at, offsets, {
        since: anchor => anchor.targetOffset,
        translate: partition => translateOffsetsBack(reading, partition, offsets),
      }),
  }
}

type Located = Omit<Translatable, 'anchors'> & {
  readonly kind: 'located'
  readonly checkpoint: Checkpoint
  readonly position: Position
}

function located(
  checkpoint: Checkpoint,
  { source, target }: { readonly source: LogView; readonly target: LogView },
): Located | NotTranslated {
  const { state, targetTopic, topic, partition } = checkpoint
  const position = positionOf(state)
  const name = partitionName({ topic, partition })
  if (position === null) return no('no-checkpoint', `${name} was not copied yet`)
  if (state.kind === 'halted' && isTargetNotEmpty(state.incidentId)) {
    return no('standby-not-empty', `${name} is halted, because its standby was not empty`)
  }
  if (source.kind === 'seen' && source.topicId !== position.sourceTopicId) {
    return no('source-recreated', `topic ${topic} was recreated since ${name} was copied`)
  }
  if (target.kind === 'unobserved') return no('standby-unobserved', target.detail)
  if (target.kind === 'missing' || target.topicId !== position.targetTopicId) {
    return no('standby-changed', `standby topic ${targetTopic} is not the one that was copied to`)
  }
  if (pointOf(target, 'log-end') < position.nextTargetOffset) {
    const end = pointOf(target, 'log-end')
    const what = `ends at ${end}, before ${position.nextTargetOffset}, up to which was copied`
    return no('standby-changed', `standby partition ${targetTopic}-${partition} ${what}`)
  }
  // A source that does not answer, and a topic that was deleted, cannot be read.
  const seen: SeenLog | null = source.kind === 'seen' ? source : null
  const at = { topic, partition }
  return { kind: 'located', at, targetTopic, source: seen, target, checkpoint, position }
}

function withoutCheckpoint(
  at: TopicPartition,
  corrupt: CorruptCheckpoint | undefined,
): NotTranslated {
  if (corrupt !== undefined) return no('corrupt-row', corrupt.detail)
  return no('no-checkpoint', `${partitionName(at)} has no checkpoint in this flow`)
}

function no(reason: NotTranslatedReason, detail: string): NotTranslated {
  return { kind: 'not-translated', reason, detail }
}

/** A position of a version that did not count: what lies before it is found by contents. */
function uncounted(
  { nextSourceOffset, nextTargetOffset }: Position,
  { updatedAtMs: atMs }: Checkpoint,
): Anchors[number] {
  const at = { sourceOffset: nextSourceOffset, targetOffset: nextTargetOffset }
  return { ...at, copiedRecords: null, atMs, reason: 'spacing' }
}

async function readRow(
  { anchors }: Pick<FlowTranslationDeps, 'anchors'>,
  { flow, topic, partition }: Checkpoint,
  position: Position,
): Promise<Anchors | NotTranslated> {
  try {
    return await anchors.read({ flow, topic, partition }, position)
  } catch (error) {
    if (error instanceof CorruptRowError) return no('corrupt-row', error.message)
    throw error
  }
}

/** Asks once more without the source where it does not answer while it is read. */
async function answered<T>(
  { source, target }: FlowTranslationDeps,
  found: Located,
  translate: (translatable: Omit<Translatable, 'anchors'>) => Promise<readonly T[]>,
): Promise<Answered<T> | NotTranslated> {
  const { position, targetTopic } = found
  const log = { start: pointOf(found.target, 'log-start'), end: pointOf(found.target, 'log-end') }
  const standbyLog = { start: targetOffset(log.start), end: targetOffset(log.end) }
  const sourceEnd = found.source === null ? null : sourceOffset(pointOf(found.source, 'log-end'))
  const said = { kind: 'translated' as const, targetTopic, standbyLog, sourceEnd, position }
  try {
    const isSourceSeen = found.source !== null
    return { ...said, isSourceSeen, offsets: await translate(found) }
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    if (error.cluster === target.name) return no('standby-unobserved', error.message)
    if (error.cluster !== source.name || found.source === null) throw error
  }
  try {
    return { ...said, isSourceSeen: false, offsets: await translate({ ...found, source: null }) }
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    return no('standby-unobserved', error.message)
  }
}
