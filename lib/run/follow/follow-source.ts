// Owns what a tick of sync does for a flow besides its consumer groups: topics, ACLs and the
// heartbeat, each by itself, after one look at the topics of both sides. Does not own the groups,
// nor when nothing follows any more because the flow has failed over (run/sync/sync-flow.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import { findFollowed } from '../observe/followed-topics.ts'
import { type Beat, type BeatDeps, beat, beatLines } from './beat.ts'
import { type SyncAclsDeps, type SyncedAcls, syncAcls, syncedAclsLines } from './sync-acls.ts'
import {
  type SyncedTopics,
  type SyncTopicsDeps,
  syncedTopicsLines,
  syncTopics,
} from './sync-topics.ts'

export type FollowSourceDeps = SyncTopicsDeps & SyncAclsDeps & BeatDeps

export type Followed = {
  readonly topics: SyncedTopics
  readonly acls: SyncedAcls
  readonly heartbeat: Beat
}

/**
 * Never throws when a cluster refuses or does not answer: that is in the result. Throws
 * `ReplicatorError` when the table does not answer.
 */
export async function followSource(deps: FollowSourceDeps, flow: FlowConfig): Promise<Followed> {
  const [heartbeat, found] = await Promise.all([beat(deps, flow), findFollowed(deps, flow)])
  const topics = await syncTopics(deps, flow, found)
  return { topics, acls: await syncAcls(deps, flow, found), heartbeat }
}

/** What a person is told, bounded for each of the three. */
export function followedLines({ topics, acls, heartbeat }: Followed, flow: FlowConfig): LogLine[] {
  return [
    ...syncedTopicsLines(topics, flow),
    ...syncedAclsLines(acls, flow),
    ...beatLines(heartbeat),
  ]
}
