// Owns the translation of offsets on the way back: what applications have written on the standby is
// translated by the checkpoints of the flow back, and what was copied before the fail-over by those
// of the flow, backwards. Does not own either translation (run/translate).

import type { FlowConfig } from '../../core/config/config.ts'
import { sourceTopicName } from '../../core/config/topic-selection.ts'
import { type SourceOffset, sourceOffset, targetOffset } from '../../core/offset.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import {
  type FlowTranslation,
  type FlowTranslationDeps,
  type NotTranslated,
  openTranslation,
} from '../translate/flow-translation.ts'
import type { Translated } from '../translate/translate-partition.ts'

type Deps = { readonly forward: FlowTranslationDeps; readonly back: FlowTranslationDeps }

/** Offsets of the standby to offsets of the source, as the flow back sees them. */
export async function openWayBack(
  { forward, back }: Deps,
  flow: FlowConfig,
  reverse: FlowConfig,
): Promise<Pick<FlowTranslation, 'translate'>> {
  const before = await openTranslation(forward, flow)
  const since = await openTranslation(back, reverse)
  const begins = await beginningsOf({ forward, back }, flow, reverse)
  return {
    async translate(at, offsets) {
      const later = await since.translate(at, offsets)
      if (later.kind === 'not-translated') return later
      const from = begins.get(partitionName(at)) ?? 0n
      const early = offsets.filter(each => each < from)
      if (early.length === 0) return later
      const earlier = await translateEarlier(before, flow, { at, early })
      if (earlier.kind === 'not-translated') return earlier
      const known = new Map(earlier.offsets.map(each => [each.sourceOffset, each]))
      return { ...later, offsets: later.offsets.map(each => known.get(each.sourceOffset) ?? each) }
    },
  }
}

/**
 * Where the flow back of each standby partition began: behind the fence of the fail-over. A log
 * that is copied back whole, into a topic that was created anew, has no such place.
 */
async function beginningsOf(
  { forward, back }: Deps,
  flow: FlowConfig,
  reverse: FlowConfig,
): Promise<Map<string, bigint>> {
  const [left, returned] = await Promise.all([
    forward.checkpoints.list(flow.name),
    back.checkpoints.list(reverse.name),
  ])
  const into = new Map(
    returned.checkpoints.map(each => [partitionName(each), positionOf(each.state)?.targetTopicId]),
  )
  const begins = new Map<string, bigint>()
  for (const { state, targetTopic: topic, partition } of left.checkpoints) {
    if (state.kind !== 'failed-over' || state.standbyEnd === null) continue
    const name = partitionName({ topic, partition })
    if (into.get(name) === state.position?.sourceTopicId) begins.set(name, state.standbyEnd)
  }
  return begins
}

async function translateEarlier(
  before: FlowTranslation,
  flow: FlowConfig,
  by: { readonly at: TopicPartition; readonly early: readonly SourceOffset[] },
): Promise<NotTranslated | { kind: 'translated'; offsets: readonly Translated[] }> {
  const { at, early } = by
  const topic = sourceTopicName(flow, at.topic) ?? at.topic
  const onSource = { topic, partition: at.partition }
  const asked = early.map(each => targetOffset(each))
  const answer = await before.translateBack(onSource, asked)
  if (answer.kind === 'not-translated') return answer
  // Both directions name the offset that was asked for their source, here a place of the standby.
  return {
    kind: 'translated',
    offsets: answer.offsets.map((each, index) => ({
      ...each,
      // Behind everything that was copied, and before everything that was written since.
      kind: each.kind === 'beyond' ? ('exact' as const) : each.kind,
      sourceOffset: early[index] ?? sourceOffset(each.targetOffset),
      targetOffset: targetOffset(each.sourceOffset),
    })),
  }
}
