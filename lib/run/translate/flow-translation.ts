// Owns opening the translation of a flow: the rows and the logs of its partitions are read once,
// for every offset that is asked for. Does not own the translation (translate-partition.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { type SourceOffset, sourceOffset, targetOffset } from '../../core/offset.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import type { Checkpoint } from '../../core/row/checkpoint.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Anchors } from '../../core/translate/anchor.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { observeBoth, onTarget } from '../observe/both-clusters.ts'
import { type Translated, type TranslationDeps, translateOffsets } from './translate-partition.ts'

export type FlowTranslationDeps = Omit<TranslationDeps, 'flow'> & {
  readonly checkpoints: Pick<CheckpointStore, 'list'>
}

export type Translation =
  | { readonly kind: 'translated'; readonly offsets: readonly Translated[] }
  | { readonly kind: 'untranslated'; readonly reason: string }

export type FlowTranslation = {
  /** Answers in the order of `offsets`. Throws `BrokerFailure` when a cluster does not answer. */
  translate(
    topic: string,
    partition: number,
    offsets: readonly SourceOffset[],
  ): Promise<Translation>
}

export async function openTranslation(
  deps: FlowTranslationDeps,
  flow: FlowConfig,
): Promise<FlowTranslation> {
  const { checkpoints } = await deps.checkpoints.list(flow.name)
  const rows = new Map(checkpoints.map(each => [partitionName(each), each]))
  const { sources, targets } = await observeBoth(deps, flow, checkpoints)
  return {
    async translate(topic, partition, offsets) {
      const at: TopicPartition = { topic, partition }
      const row = rows.get(partitionName(at))
      const anchors = row === undefined ? null : anchorsOf(row)
      if (anchors === null) return untranslated('nothing was replicated yet')
      const [source, target] = [sources.of(at), targets.of(onTarget(flow, at))]
      if (source.kind !== 'seen') return untranslated('the source partition cannot be observed')
      if (target.kind !== 'seen') return untranslated('the standby partition cannot be observed')
      const targetTopic = onTarget(flow, at).topic
      const translatable = { at, targetTopic, source, target, anchors }
      return {
        kind: 'translated',
        offsets: await translateOffsets({ ...deps, flow }, translatable, offsets),
      }
    },
  }
}

function untranslated(reason: string): Translation {
  return { kind: 'untranslated', reason }
}

function anchorsOf({ state, updatedAtMs: atMs }: Checkpoint): Anchors | null {
  const position = positionOf(state)
  if (position === null) return null
  const { nextSourceOffset, nextTargetOffset } = position
  const start = { sourceOffset: sourceOffset(0n), targetOffset: targetOffset(0n) }
  return [
    { ...start, copiedRecords: null, atMs, reason: 'start' },
    {
      sourceOffset: nextSourceOffset,
      targetOffset: nextTargetOffset,
      copiedRecords: null,
      atMs,
      reason: 'spacing',
    },
  ]
}
