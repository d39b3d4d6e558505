// Owns what the JSON of `gapless sync` says of topics, ACLs and heartbeats. It is a contract, as in
// report.ts. Does not own the part about groups (groups-report.ts).

import { type Acl, aclText } from '../../core/acl.ts'
import type { FlowConfig } from '../../core/config/config.ts'
import type { FollowedDeletion } from '../delete/sync-deletions.ts'
import type { HeartbeatPath } from '../follow/arrived-heartbeats.ts'
import type { Followed } from '../follow/follow-source.ts'
import type { TopicConfigChange } from '../follow/sync-configs.ts'

type ConfigReport = {
  readonly topic: string
  readonly targetTopic: string
  readonly config: string
  /** The value on the standby before; null: its broker does not tell the config. */
  readonly from: string | null
  /** Null: the config is removed from the standby topic. */
  readonly to: string | null
  readonly outcome: 'changed' | 'differs' | 'refused'
  /** Kafka's error, and the command to type, where the change was refused. */
  readonly reason: string | null
}

type AclReport = {
  readonly acl: string
  readonly outcome: 'created' | 'removed' | 'missing' | 'withheld' | 'left' | 'refused'
  readonly reason: string | null
}

export type FollowReport = {
  readonly configs: readonly ConfigReport[]
  readonly deletions: readonly {
    readonly topic: string
    readonly targetTopic: string
    /** `recreated`: under `onReset: recreate`, and plan creates the standby topic anew. */
    readonly onSource: 'deleted' | 'recreated'
    readonly outcome: 'deleted' | 'forgotten' | 'kept'
    readonly reason: string | null
    /** Committed offsets that went with a standby topic that is created anew: the first. */
    readonly groupOffsets: readonly {
      readonly group: string
      readonly partition: number
      readonly offset: string
    }[]
    readonly groupOffsetsCount: number
  }[]
  readonly acls: readonly AclReport[]
  /** Sentences about rights that no tick copies. */
  readonly notCopied: readonly string[]
  /** Null without `sync.heartbeats`. */
  readonly heartbeat: {
    readonly writtenAtMs: number | null
    readonly latencyMs: number | null
    readonly reason: string | null
    readonly paths: readonly {
      readonly clusters: readonly string[]
      readonly newestAtMs: number | null
      readonly ageMs: number | null
      readonly latencyMs: number | null
      readonly by: HeartbeatPath['by']
    }[]
  } | null
  /** What could not be compared, one sentence each. */
  readonly unknown: readonly string[]
}

export function reportFollowed(
  { topics, acls, heartbeat }: Followed,
  flow: FlowConfig,
): FollowReport {
  const { configs, deletions, failures } = topics
  const { writtenAtMs, notWritten: reason, paths } = heartbeat
  return {
    configs: [
      ...configs.changed.map(each => configReport(each, 'changed', null)),
      ...configs.differing.map(each => configReport(each, 'differs', null)),
      ...configs.refused.map(each => configReport(each, 'refused', each.reason)),
    ],
    deletions: deletions.map(deletionReport),
    acls: [
      ...acls.created.map(each => aclReport(each, 'created', null)),
      ...acls.removed.map(each => aclReport(each, 'removed', null)),
      ...acls.missing.map(each => aclReport(each, 'missing', null)),
      ...acls.withheld.map(each => aclReport(each, 'withheld', null)),
      ...acls.left.map(each => aclReport(each.acl, 'left', each.reason)),
      ...acls.refused.map(each => aclReport(each.acl, 'refused', each.reason)),
    ],
    notCopied: acls.notCopied,
    heartbeat:
      flow.sync.heartbeats === 'off'
        ? null
        : {
            writtenAtMs,
            latencyMs: paths.find(({ by }) => by === 'own')?.latencyMs ?? null,
            reason,
            paths: paths.map(({ clusters, newestAtMs, ageMs, latencyMs, by }) => {
              return { clusters, newestAtMs, ageMs, latencyMs, by }
            }),
          },
    unknown: [
      ...failures.map(each => `${each.cluster}: ${each.detail}`),
      ...configs.unknown,
      ...acls.unknown,
      ...heartbeat.unknown,
    ],
  }
}

function deletionReport(deletion: FollowedDeletion): FollowReport['deletions'][number] {
  const { topic, targetTopic, onSource, kind: outcome, reason, groupOffsetsCount } = deletion
  const groupOffsets = deletion.groupOffsets.map(each => ({ ...each, offset: String(each.offset) }))
  return { topic, targetTopic, onSource, outcome, reason, groupOffsets, groupOffsetsCount }
}

function configReport(
  { topic, targetTopic, config, from, to }: TopicConfigChange,
  outcome: ConfigReport['outcome'],
  reason: string | null,
): ConfigReport {
  return { topic, targetTopic, config, from, to, outcome, reason }
}

function aclReport(acl: Acl, outcome: AclReport['outcome'], reason: string | null): AclReport {
  return { acl: aclText(acl), outcome, reason }
}
