// Owns the places of all committed offsets of a tick on the standby: the offsets of all groups are
// collected first, so that each part of a log is read once, whatever the number of groups. Does not
// own the translation (run/translate).

import type { FlowConfig } from '../../core/config/config.ts'
import { translationsInFlightMax } from '../../core/config/defaults.ts'
import { type SourceOffset, sourceOffset, targetOffset } from '../../core/offset.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import type { GroupLogs, Place } from '../../core/sync/group-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { CommittedOffset } from '../../io/admin/group-admin.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { concurrently } from '../concurrently.ts'
import { observeBoth, onTarget } from '../observe/both-clusters.ts'
import { pointOf } from '../observe/logs.ts'
import {
  type FlowTranslation,
  type FlowTranslationDeps,
  openTranslation,
} from '../translate/flow-translation.ts'

export type GroupPlaces = {
  placeOf(at: TopicPartition, offset: bigint): Place
  /** null: the partition could not be observed, or nothing of it was replicated. */
  logsOf(at: TopicPartition): GroupLogs | null
}

/** Each partition that cannot be translated has a reason instead of places. */
export async function findPlaces(
  deps: FlowTranslationDeps,
  flow: FlowConfig,
  offsets: Iterable<Pick<CommittedOffset, 'topic' | 'partition' | 'offset'>>,
): Promise<GroupPlaces> {
  const asked = new Map<string, TopicPartition & { readonly offsets: Set<SourceOffset> }>()
  for (const { topic, partition, offset } of offsets) {
    const name = partitionName({ topic, partition })
    const at = asked.get(name) ?? { topic, partition, offsets: new Set() }
    asked.set(name, at)
    at.offsets.add(sourceOffset(offset))
  }
  const partitions = [...asked.values()]
  const logs = await readLogs(deps, flow, partitions)
  const translation = await openTranslation(deps, flow)
  const places = new Map<string, ReadonlyMap<bigint, Place>>()
  const reasons = new Map<string, string>()
  await concurrently(partitions, translationsInFlightMax, async each => {
    const name = partitionName(each)
    const found = await translateAll(translation, each)
    if (typeof found === 'string') reasons.set(name, found)
    else places.set(name, found)
  })
  return {
    placeOf(at, offset) {
      const name = partitionName(at)
      const place = places.get(name)?.get(offset)
      if (place !== undefined) return place
      const reason = reasons.get(name) ?? 'its offset could not be translated'
      return { kind: 'unknown', reason }
    },
    logsOf: at => logs.get(partitionName(at)) ?? null,
  }
}

async function translateAll(
  translation: FlowTranslation,
  { topic, partition, offsets }: TopicPartition & { readonly offsets: ReadonlySet<SourceOffset> },
): Promise<ReadonlyMap<bigint, Place> | string> {
  try {
    const found = await translation.translate(topic, partition, [...offsets])
    if (found.kind === 'untranslated') return found.reason
    return new Map(
      found.offsets.map(each => {
        const { kind, rereadRecordsMax } = each
        const place = { kind, targetOffset: targetOffset(each.targetOffset), rereadRecordsMax }
        return [each.sourceOffset, place]
      }),
    )
  } catch (error) {
    // A leader that does not answer keeps its own partitions from being translated, and no other.
    if (!(error instanceof BrokerFailure)) throw error
    return error.message
  }
}

async function readLogs(
  deps: FlowTranslationDeps,
  flow: FlowConfig,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<string, GroupLogs>> {
  const { checkpoints } = await deps.checkpoints.list(flow.name)
  const rows = new Map(checkpoints.map(each => [partitionName(each), each]))
  const { sources, targets } = await observeBoth(deps, flow, partitions)
  const logs = new Map<string, GroupLogs>()
  for (const at of partitions) {
    const name = partitionName(at)
    const row = rows.get(name)
    const position = row === undefined ? null : positionOf(row.state)
    const [source, target] = [sources.of(at), targets.of(onTarget(flow, at))]
    if (position === null || source.kind !== 'seen' || target.kind !== 'seen') continue
    if (source.topicId !== position.sourceTopicId) continue
    logs.set(name, {
      copiedTo: position.nextSourceOffset,
      sourceEnd: sourceOffset(pointOf(source, 'log-end')),
      standby: {
        start: targetOffset(pointOf(target, 'log-start')),
        end: targetOffset(pointOf(target, 'log-end')),
      },
    })
  }
  return logs
}
