// Owns the standby topics of topics that were deleted on the source: they are named, and with the
// policy `delete` they are deleted with their checkpoints, where nothing speaks against it; those
// of recreated topics are deleted with `onReset: recreate`, within the same bound. Does not own
// what speaks against a deletion (core/sync/deletion.ts), nor a recreation (recreate-topic.ts).
//
// First the topic goes, then the incident ends, then the checkpoints go: a tick that dies between
// them is finished by the next one, which finds a standby topic that is missing. Where the topic
// returns on the source meanwhile, the partition decides that both sides are new
// (core/partition/decide-observation.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import type { Incident } from '../../core/incident.ts'
import { type DeletedTopic, decideDeletion } from '../../core/sync/deletion.ts'
import { deletedTopicsMax } from '../../core/sync/deletion-limits.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { FollowedTopics, KnownTopic } from '../observe/followed-topics.ts'
import { observeCopied, withForeignRecords } from './copied-topic.ts'
import { forgetLeftBehind, type RecreateTopicDeps, recreateTopic } from './recreate-topic.ts'
import type { StandbyOffset } from './standby-groups.ts'

export type SyncDeletionsDeps = RecreateTopicDeps

/** A topic whose log on the source is gone, and what became of its standby topic. */
export type FollowedDeletion = {
  readonly topic: string
  readonly targetTopic: string
  /** What was seen there: nothing of that name, or another topic. */
  readonly onSource: 'deleted' | 'recreated'
  /** `forgotten`: the standby topic was gone as well, and the checkpoints went. */
  readonly kind: 'deleted' | 'forgotten' | 'kept'
  /** Why it is kept; null where it is not. */
  readonly reason: string | null
  /** Committed offsets that went with a standby topic that is created anew: the first. */
  readonly groupOffsets: readonly StandbyOffset[]
  /** How many there were. */
  readonly groupOffsetsCount: number
}

const withoutOffsets = { groupOffsets: [], groupOffsetsCount: 0 }

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
    const about = { topic, targetTopic, onSource: 'deleted' as const, ...withoutOffsets }
    const kept = (reason: string) => results.push({ ...about, kind: 'kept', reason })
    if (flow.sync.deletions === 'report') {
      kept(`sync.deletions is report. To delete it: ${deleteCommand(flow, targetTopic)}`)
    } else if (deletions >= deletedTopicsMax) {
      kept(tooManyText)
    } else {
      const result = await followDeletion(deps, flow, { known, found })
      if (result.kind !== 'kept') deletions += 1
      results.push({ ...about, ...result })
    }
  }
  return flow.onReset === 'recreate'
    ? [...results, ...(await recreateTopics(deps, flow, { found, deletions }))]
    : results
}

const tooManyText = `a tick deletes ${deletedTopicsMax} topics at the most; the next ticks go on`

async function recreateTopics(
  deps: SyncDeletionsDeps,
  flow: FlowConfig,
  before: { readonly found: FollowedTopics; readonly deletions: number },
): Promise<FollowedDeletion[]> {
  const { found } = before
  const results: FollowedDeletion[] = []
  let { deletions } = before
  for (const known of found.recreated) {
    const { topic, targetTopic } = known
    const about = { topic, targetTopic, onSource: 'recreated' as const, ...withoutOffsets }
    if (deletions >= deletedTopicsMax) {
      results.push({ ...about, kind: 'kept', reason: tooManyText })
      continue
    }
    const result = await recreateTopic(deps, flow, { known, found })
    if (result.kind === 'deleted') deletions += 1
    if (result.kind !== 'done') results.push({ ...about, reason: null, ...result })
  }
  await forgetLeftBehind(deps, flow, found)
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
  const copied = await observeDeleted(deps, at, open)
  const first = decideDeletion(copied, clock.nowMs())
  const { topic } = known
  const decision =
    first.kind === 'delete'
      ? decideDeletion(await withForeignRecords(deps, flow.name, { topic, copied }), clock.nowMs())
      : first
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
  const isCorrupt = found.listed.corrupt.some(each => each.topic === known.topic)
  return {
    ...(await observeCopied(deps, known, found)),
    // A row that cannot be read is a partition about which nothing is known.
    deletedAtMs: isCorrupt ? null : deletedAtMs(known, open),
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
