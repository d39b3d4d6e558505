// Owns the standby topics of topics that were deleted on the source: they are named, and with the
// policy `delete` they are deleted with their checkpoints, where nothing speaks against it. Does
// not own what speaks against it (core/sync/deletion.ts).
//
// First the topic goes, then the incident ends, then the checkpoints go: a tick that dies between
// them is finished by the next one, which finds a standby topic that is missing. Where the topic
// returns on the source meanwhile, the partition decides that both sides are new
// (core/partition/decide-observation.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { deletedTopicsMax } from '../../core/config/defaults.ts'
import type { Incident } from '../../core/incident.ts'
import { type DeletedTopic, decideDeletion, type IdAnswer } from '../../core/sync/deletion.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { CheckpointRemoval } from '../../io/sync/checkpoint-removal.ts'
import type { IncidentStore } from '../../io/table/stores.ts'
import { observeLogs, pointOf } from '../observe/logs.ts'
import type { FollowedTopics, KnownTopic } from './followed-topics.ts'

export type SyncDeletionsDeps = {
  readonly target: Cluster
  readonly incidents: Pick<IncidentStore, 'list' | 'resolve'>
  readonly removal: CheckpointRemoval
  readonly clock: Pick<Clock, 'nowMs'>
  /** Whether every broker of a cluster says that a topic id is gone. */
  readonly askSource: (topicId: string) => Promise<IdAnswer>
  readonly askTarget: (topicId: string) => Promise<IdAnswer>
  /** Called only when a standby topic is to be deleted. */
  readonly openTargetAdmin: () => Pick<TopicAdmin, 'deleteTopicById'>
}

/** A topic that is gone on the source, and what became of its standby topic. */
export type FollowedDeletion = {
  readonly topic: string
  readonly targetTopic: string
  /** `forgotten`: the standby topic was gone as well, and the checkpoints went. */
  readonly kind: 'deleted' | 'forgotten' | 'kept'
  /** Why it is kept; null where it is not. */
  readonly reason: string | null
}

/** Never throws when a cluster refuses or does not answer. */
export async function syncDeletions(
  deps: SyncDeletionsDeps,
  flow: FlowConfig,
  found: FollowedTopics,
): Promise<FollowedDeletion[]> {
  const results: FollowedDeletion[] = []
  let deletions = 0
  for (const known of found.waiting) {
    const { topic, targetTopic } = known
    const kept = (reason: string) => results.push({ topic, targetTopic, kind: 'kept', reason })
    if (flow.sync.deletions === 'report') {
      kept(`sync.deletions is report. To delete it: ${deleteCommand(flow, targetTopic)}`)
    } else if (deletions >= deletedTopicsMax) {
      kept(`a tick deletes ${deletedTopicsMax} topics at the most; the next ticks go on`)
    } else {
      const result = await followDeletion(deps, flow, { known, found })
      if (result.kind !== 'kept') deletions += 1
      results.push({ topic, targetTopic, ...result })
    }
  }
  return results
}

function deleteCommand({ to }: FlowConfig, targetTopic: string): string {
  return (
    `kafka-topics --bootstrap-server BROKERS-OF-${to} --delete --topic ${targetTopic}, and exclude ` +
    'the source topic from the flow'
  )
}

type Deletion = Pick<FollowedDeletion, 'kind' | 'reason'>

async function followDeletion(
  deps: SyncDeletionsDeps,
  flow: FlowConfig,
  at: { readonly known: KnownTopic; readonly found: FollowedTopics },
): Promise<Deletion> {
  const { incidents, clock, removal } = deps
  const { known } = at
  const { incidents: open } = await incidents.list(flow.name, 'open')
  const decision = decideDeletion(await observeDeleted(deps, at, open), clock.nowMs())
  if (decision.kind === 'keep') return { kind: 'kept', reason: decision.reason }
  if (decision.kind === 'delete') {
    try {
      await deps.openTargetAdmin().deleteTopicById(decision.topicId)
    } catch (error) {
      if (!(error instanceof ReplicatorError)) throw error
      return { kind: 'kept', reason: `${error.message} ${error.hint}` }
    }
  }
  for (const { state } of known.checkpoints) {
    if (state.kind !== 'waiting') continue
    const { incidentId: id } = state
    const nowMs = clock.nowMs()
    await incidents.resolve({ flow: flow.name, id, resolution: 'continued', nowMs })
  }
  // One that another run has acquired meanwhile is not removed, and is looked at by the next tick.
  for (const checkpoint of known.checkpoints) await removal.removeWaiting(checkpoint)
  return { kind: decision.kind === 'delete' ? 'deleted' : 'forgotten', reason: null }
}

async function observeDeleted(
  deps: SyncDeletionsDeps,
  { known, found }: { readonly known: KnownTopic; readonly found: FollowedTopics },
  open: readonly Incident[],
): Promise<DeletedTopic> {
  const [first] = known.checkpoints
  const sourceTopicId = first?.position.sourceTopicId ?? ''
  const isCorrupt = found.listed.corrupt.some(each => each.topic === known.topic)
  return {
    partitions: known.checkpoints.map(({ partition, position, lease }) => {
      return { partition, position, isLeased: lease.untilMs !== null }
    }),
    // A row that cannot be read is a partition about which nothing is known.
    deletedAtMs: isCorrupt ? null : deletedAtMs(known, open),
    source: await deps.askSource(sourceTopicId),
    isKnownSource: found.isKnownSource,
    standby: await observeStandby(deps, known, found),
  }
}

function deletedAtMs({ checkpoints }: KnownTopic, open: readonly Incident[]): number | null {
  const times = checkpoints.map(({ state }) => {
    const id = state.kind === 'waiting' ? state.incidentId : null
    const incident = open.find(each => each.id === id && each.kind === 'topic-deleted')
    return incident?.detectedAtMs ?? null
  })
  return times.reduce<number | null>(
    (latest, each) => (each === null || latest === null ? null : Math.max(latest, each)),
    0,
  )
}

async function observeStandby(
  deps: SyncDeletionsDeps,
  { targetTopic, checkpoints }: KnownTopic,
  { targets }: FollowedTopics,
): Promise<DeletedTopic['standby']> {
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
