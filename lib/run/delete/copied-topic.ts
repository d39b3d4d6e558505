// Owns the questions about a topic whose log on the source is gone: whether every broker of the
// source says so, and what the standby topic holds beside the copied records. Reads only. Does not
// own what the answers lead to (core/sync/deletion.ts, core/sync/recreation.ts).

import { isDriftOf } from '../../core/partition/drift.ts'
import type { CopiedTopic, IdAnswer } from '../../core/sync/deletion.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { IncidentStore } from '../../io/table/stores.ts'
import type { FollowedTopics, KnownTopic } from '../observe/followed-topics.ts'
import { observeLogs, pointOf } from '../observe/logs.ts'

export type CopiedTopicDeps = {
  readonly target: Cluster
  readonly incidents: Pick<IncidentStore, 'list'>
  /** Whether every broker of a cluster says that a topic id is gone. */
  readonly askSource: (topicId: string) => Promise<IdAnswer>
  readonly askTarget: (topicId: string) => Promise<IdAnswer>
}

export async function observeCopied(
  deps: CopiedTopicDeps,
  known: KnownTopic,
  found: FollowedTopics,
): Promise<CopiedTopic> {
  const sourceTopicId = known.checkpoints[0]?.position.sourceTopicId ?? ''
  return {
    partitions: known.checkpoints.map(({ partition, position, lease }) => {
      const isLeased = lease.untilMs !== null
      return { partition, position, isLeased, hadForeignRecords: false }
    }),
    source: await deps.askSource(sourceTopicId),
    isKnownSource: found.isKnownSource,
    standby: await observeStandby(deps, known, found),
  }
}

/**
 * The same with what incidents say of foreign records, also those that have ended. They are read
 * only when nothing else keeps the topic: there may be many.
 */
export async function withForeignRecords<T extends CopiedTopic>(
  { incidents }: CopiedTopicDeps,
  flow: string,
  { topic, copied }: { readonly topic: string; readonly copied: T },
): Promise<T> {
  const all = await incidents.list(flow, 'all')
  const ids = [...all.incidents, ...all.corrupt].map(each => each.id)
  const partitions = copied.partitions.map(each => {
    const at = { topic, partition: each.partition }
    return { ...each, hadForeignRecords: ids.some(id => isDriftOf(id, at, each.position)) }
  })
  return { ...copied, partitions }
}

async function observeStandby(
  deps: CopiedTopicDeps,
  { targetTopic, checkpoints }: KnownTopic,
  { targets }: FollowedTopics,
): Promise<CopiedTopic['standby']> {
  const target = targets.get(targetTopic)
  switch (target?.kind) {
    case undefined:
      return { kind: 'unknown', detail: 'it was left out of the answer' }
    case 'denied':
      return { kind: 'unknown', detail: 'TOPIC_AUTHORIZATION_FAILED' }
    case 'unknown':
      return { kind: 'unknown', detail: target.errorName }
    case 'missing': {
      const topicId = checkpoints[0]?.position.targetTopicId ?? ''
      return { kind: 'missing', byId: await deps.askTarget(topicId) }
    }
    case 'exists': {
      const partitions = target.partitions.map(({ partition }) => ({
        topic: targetTopic,
        partition,
      }))
      const views = await observeLogs(deps.target, partitions, ['log-end'])
      const logEnds = partitions.map(each => {
        const view = views.of(each)
        const isSame = view.kind === 'seen' && view.topicId === target.topicId
        return [each.partition, isSame ? pointOf(view, 'log-end') : null] as const
      })
      return { kind: 'exists', topicId: target.topicId, logEnds: new Map(logEnds) }
    }
  }
}
