// Owns the places of all committed offsets of a tick on the standby: the offsets of all groups are
// collected first, so that each part of a log is read once, whatever the number of groups. Does not
// own the translation (run/translate).

import type { FlowConfig } from '../../core/config/config.ts'
import { translationsInFlightMax } from '../../core/config/defaults.ts'
import { type SourceOffset, sourceOffset } from '../../core/offset.ts'
import type { GroupLogs, Place } from '../../core/sync/group-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { CommittedOffset } from '../../io/admin/group-admin.ts'
import { concurrently } from '../concurrently.ts'
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
  const asked = new Map<string, Asked>()
  for (const { topic, partition, offset } of offsets) {
    const name = partitionName({ topic, partition })
    const at = asked.get(name) ?? { topic, partition, offsets: new Set() }
    asked.set(name, at)
    at.offsets.add(sourceOffset(offset))
  }
  const found = new Map<string, Found>()
  // A flow whose topics no group reads costs no look at its logs.
  if (asked.size > 0) {
    const translation = await openTranslation(deps, flow)
    await concurrently([...asked], translationsInFlightMax, async ([name, each]) => {
      found.set(name, await translateAll(translation, each))
    })
  }
  return {
    placeOf(at, offset) {
      const there = found.get(partitionName(at))
      if (typeof there === 'string') return { kind: 'unknown', reason: there }
      const reason = 'its offset could not be translated'
      return there?.places.get(offset) ?? { kind: 'unknown', reason }
    },
    logsOf(at) {
      const there = found.get(partitionName(at))
      return there === undefined || typeof there === 'string' ? null : there.logs
    },
  }
}

type Asked = TopicPartition & { readonly offsets: Set<SourceOffset> }

/** The places of one partition, or why there are none. */
type Found = { readonly places: ReadonlyMap<bigint, Place>; readonly logs: GroupLogs } | string

async function translateAll(
  translation: FlowTranslation,
  { topic, partition, offsets }: Asked,
): Promise<Found> {
  const answer = await translation.translate({ topic, partition }, [...offsets])
  if (answer.kind === 'not-translated') return answer.detail
  const { position, standbyLog, sourceEnd } = answer
  const places = answer.offsets.map(({ sourceOffset: from, ...place }): [bigint, Place] => [
    from,
    place,
  ])
  const copiedTo = position.nextSourceOffset
  return { places: new Map(places), logs: { copiedTo, sourceEnd, standby: standbyLog } }
}
