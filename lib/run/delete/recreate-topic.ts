// Owns one step of `onReset: recreate`: the standby topic of a topic that was recreated on the
// source is deleted, where nothing speaks against it, after the committed offsets that go with it
// were read and said. Does not own what speaks against it (core/sync/recreation.ts).
//
//   run    the partitions wait, each with its incident topic-reset
//   sync   the standby topic is deleted, by its id; the rows stay
//   plan   the standby topic is missing, and is created with the source's configs and partitions
//   run    both topics are new: copying begins, and the incidents end
//   sync   rows of partitions that the new topic does not have are removed
//
// Each step looks at what the one before has left, so a death between any two of them is no state
// of its own.

import type { FlowConfig } from '../../core/config/config.ts'
import {
  decideRecreation,
  leftBehind,
  type RecreatedTopic as Recreated,
} from '../../core/sync/recreation.ts'
import type { GroupAdmin } from '../../io/admin/group-admin.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { Clock } from '../../io/clock.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { Log } from '../../io/log.ts'
import type { CheckpointRemoval } from '../../io/sync/checkpoint-removal.ts'
import type { IncidentStore } from '../../io/table/stores.ts'
import {
  type FollowedTopics,
  type KnownTopic,
  newSource,
  type RecreatedTopic,
} from '../observe/followed-topics.ts'
import { type CopiedTopicDeps, observeCopied, withForeignRecords } from './copied-topic.ts'
import { readStandbyOffsets, type StandbyOffset, standbyOffsetsText } from './standby-groups.ts'

export type RecreateTopicDeps = CopiedTopicDeps & {
  readonly incidents: Pick<IncidentStore, 'list' | 'resolve'>
  readonly removal: CheckpointRemoval
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly targetGroups: Pick<GroupAdmin, 'listGroups' | 'readOffsets'>
  /** Called only when a standby topic is to be deleted. */
  readonly openTargetAdmin: () => Pick<TopicAdmin, 'deleteTopicById'>
}

export type Recreation =
  | {
      readonly kind: 'deleted'
      readonly groupOffsets: readonly StandbyOffset[]
      readonly groupOffsetsCount: number
    }
  | { readonly kind: 'kept'; readonly reason: string }
  /** The standby topic is gone or new already. */
  | { readonly kind: 'done' }

export async function recreateTopic(
  deps: RecreateTopicDeps,
  flow: FlowConfig,
  { known, found }: { readonly known: RecreatedTopic; readonly found: FollowedTopics },
): Promise<Recreation> {
  const { topic, targetTopic, now, checkpoints } = known
  if (found.listed.corrupt.some(each => each.topic === topic)) {
    return {
      kind: 'kept',
      reason: 'a row of it cannot be read, so nothing is known of a partition',
    }
  }
  const seen: Recreated = { ...(await observeCopied(deps, known, found)), now, states: checkpoints }
  const first = decideRecreation(seen)
  const decision =
    first.kind === 'delete'
      ? decideRecreation(await withForeignRecords(deps, flow.name, { topic, copied: seen }))
      : first
  if (decision.kind === 'done') return decision
  if (decision.kind === 'keep') {
    const { reason, isPassing } = decision
    return { kind: 'kept', reason: isPassing ? reason : `${reason}. ${wayOut(flow, targetTopic)}` }
  }
  const offsets = await readStandbyOffsets(deps.targetGroups, targetTopic)
  if (offsets.kind === 'unknown') {
    const reason = `the committed offsets that would go with it cannot be read: ${offsets.detail}`
    return { kind: 'kept', reason: `${reason}. ${wayOut(flow, targetTopic)}` }
  }
  const { named: groupOffsets, count: groupOffsetsCount } = offsets
  // Said before it happens: behind the deletion nobody can read them.
  deps.log({
    level: 'warn',
    text:
      `Flow ${flow.name}: deleting standby topic ${targetTopic}, because topic ${topic} was deleted and ` +
      `recreated on ${flow.from} (onReset: recreate). Committed offsets of groups that go with it: ` +
      `${groupOffsetsCount === 0 ? 'none' : standbyOffsetsText(offsets)}`,
  })
  try {
    await deps.openTargetAdmin().deleteTopicById(decision.topicId)
  } catch (error) {
    if (!(error instanceof ReplicatorError)) throw error
    return { kind: 'kept', reason: `${error.message} ${error.hint}` }
  }
  return { kind: 'deleted', groupOffsets, groupOffsetsCount }
}

function wayOut({ to }: FlowConfig, targetTopic: string): string {
  return (
    'Nothing of the new topic is copied until then. To have it created anew all the same: kafka-topics ' +
    `--bootstrap-server BROKERS-OF-${to} --delete --topic ${targetTopic}. To keep it, and to copy the new ` +
    'topic behind what it holds: onReset: resume'
  )
}

/**
 * Removes the rows of partitions that a recreated topic does not have any more, once both logs that
 * they are of are gone. With such rows the next reset would be one of several topics.
 */
export async function forgetLeftBehind(
  deps: RecreateTopicDeps,
  flow: FlowConfig,
  found: FollowedTopics,
): Promise<void> {
  if (!found.isKnownSource) return
  for (const known of found.known) {
    for (const row of leftBehindOf(known, found)) {
      const { sourceTopicId, targetTopicId } = row.position
      const answers = [await deps.askSource(sourceTopicId), await deps.askTarget(targetTopicId)]
      if (row.state.kind !== 'waiting' || answers.some(each => each.kind !== 'gone')) continue
      const { incidentId: id } = row.state
      const nowMs = deps.clock.nowMs()
      await deps.incidents.resolve({ flow: flow.name, id, resolution: 'continued', nowMs })
      await deps.removal.removeWaiting(row)
    }
  }
}

function leftBehindOf(
  { topic, targetTopic, checkpoints }: KnownTopic,
  { existing, targets }: FollowedTopics,
): KnownTopic['checkpoints'] {
  const source = existing.get(topic)
  const target = targets.get(targetTopic)
  if (source === undefined || (target?.kind !== 'exists' && target?.kind !== 'missing')) return []
  const targetTopicId = target.kind === 'exists' ? target.topicId : null
  return leftBehind(checkpoints, { source: newSource(source), targetTopicId })
}
