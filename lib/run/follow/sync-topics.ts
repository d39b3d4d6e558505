// Owns the step of a tick of sync that is about topics: configs that follow and deletions, and the
// sentences about both. Partitions are added by plan (run/plan/standby-topics.ts), because copying
// waits for them. Does not own the single changes (sync-configs.ts, run/delete).

import type { FlowConfig } from '../../core/config/config.ts'
import { syncTextsMax } from '../../core/config/defaults.ts'
import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import { standbyOffsetsText } from '../delete/standby-groups.ts'
import {
  type FollowedDeletion,
  type SyncDeletionsDeps,
  syncDeletions,
} from '../delete/sync-deletions.ts'
import { type FollowDeps, type FollowedTopics, findFollowed } from '../observe/followed-topics.ts'
import {
  type SyncConfigsDeps,
  type SyncedConfigs,
  syncConfigs,
  type TopicConfigChange,
} from './sync-configs.ts'

export type SyncTopicsDeps = FollowDeps &
  SyncDeletionsDeps &
  SyncConfigsDeps & {
    readonly openTargetAdmin: () => TopicAdmin
  }

export type SyncedTopics = {
  /** Topics that exist on both sides and whose configs were compared. */
  readonly topics: number
  readonly configs: SyncedConfigs
  readonly deletions: readonly FollowedDeletion[]
  readonly failures: readonly ObservationFailure[]
}

/** Never throws when a cluster refuses or does not answer. `found`: one look for several steps. */
export async function syncTopics(
  deps: SyncTopicsDeps,
  flow: FlowConfig,
  found?: FollowedTopics,
): Promise<SyncedTopics> {
  const seen = found ?? (await findFollowed(deps, flow))
  return {
    topics: seen.followed.length,
    configs: await syncConfigs(deps, flow, seen.followed),
    deletions: await syncDeletions(deps, flow, seen),
    failures: seen.failures,
  }
}

/** What a person is told: at most `linesMax` sentences, and one that counts the rest. */
export function syncedTopicsLines(
  { configs, deletions, failures }: SyncedTopics,
  flow: FlowConfig,
  linesMax = syncTextsMax,
): LogLine[] {
  return boundedLines(
    [
      ...failures.map(each => warn(`not compared: ${each.cluster}: ${each.detail}`)),
      ...configs.unknown.map(each => warn(`configs not compared: ${each}`)),
      ...configs.refused.map(each =>
        warn(`${changeText(each)} is refused by ${flow.to}: ${each.reason}`),
      ),
      ...deletions.map(each => warn(deletionText(each, flow))),
      ...configs.differing.map(each =>
        warn(`${changeText(each)} is not done: sync.configs is ${flow.sync.configs}`),
      ),
      ...configs.changed.map(each => info(`${changeText(each)} is done`)),
    ],
    flow.name,
    linesMax,
  )
}

export const warn = (text: string): LogLine => ({ level: 'warn', text })
export const info = (text: string): LogLine => ({ level: 'info', text })

/** The first lines, and one that counts the others. */
export function boundedLines(lines: readonly LogLine[], flow: string, linesMax: number): LogLine[] {
  if (lines.length <= linesMax) return [...lines]
  const rest = lines.length - linesMax
  return [
    ...lines.slice(0, linesMax),
    warn(`and ${rest} more like these; all of them: gapless sync --flow ${flow} --json`),
  ]
}

function changeText({ topic, targetTopic, config, from, to }: TopicConfigChange): string {
  const before = from === null ? '' : ` from ${from}`
  return to === null
    ? `removing ${config} (${from}) from standby topic ${targetTopic}, which ${topic} does not set,`
    : `setting ${config}${before} to ${to} on standby topic ${targetTopic}, as on ${topic},`
}

function deletionText(deletion: FollowedDeletion, { from, to }: FlowConfig): string {
  const { topic, targetTopic, onSource, kind, reason } = deletion
  const was = onSource === 'recreated' ? 'was deleted and recreated' : 'was deleted'
  const gone = `topic ${topic} ${was} on ${from}`
  switch (kind) {
    case 'deleted':
      return `${gone}, and its standby topic ${targetTopic} on ${to} was deleted now${anewText(deletion)}`
    case 'forgotten':
      return `${gone}, its standby topic ${targetTopic} on ${to} is gone as well, and its checkpoints were removed`
    case 'kept':
      return `${gone}, and its standby topic ${targetTopic} on ${to} is kept: ${reason}`
  }
}

function anewText({ onSource, ...offsets }: FollowedDeletion): string {
  if (onSource === 'deleted') return ''
  const { groupOffsets: named, groupOffsetsCount: count } = offsets
  const lost =
    count === 0
      ? ''
      : `; committed offsets of groups went with it: ${standbyOffsetsText({ named, count })}`
  return `: the next tick of plan creates it anew, and records have the same offsets again${lost}`
}
