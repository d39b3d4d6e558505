// The steps of sync about topics, run in this process against the clusters and the table of a
// fixture, with a clock that a test may set ahead.

import type { FlowConfig } from '../../../lib/core/config/config.ts'
import { createGroupAdmin } from '../../../lib/io/admin/group-admin.ts'
import { createTopicAdmin, type TopicAdmin } from '../../../lib/io/admin/topic-admin.ts'
import { askForTopicId } from '../../../lib/io/admin/topic-id-answer.ts'
import { systemClock } from '../../../lib/io/clock.ts'
import { openCluster } from '../../../lib/io/cluster/cluster.ts'
import { createCheckpointRemoval } from '../../../lib/io/sync/checkpoint-removal.ts'
import { createDynamoDbClient } from '../../../lib/io/table/dynamodb-client.ts'
import {
  type SyncedTopics,
  type SyncTopicsDeps,
  syncTopics,
} from '../../../lib/run/follow/sync-topics.ts'
import type { SharedFlowFixture } from './flow-fixture.ts'

export type Following = {
  /** What the steps logged themselves. */
  readonly lines: readonly string[]
  openTargetAdmin(): TopicAdmin
  syncTopics(flow: FlowConfig): Promise<SyncedTopics>
  close(): Promise<void>
}

export type FollowingOptions = {
  /** How far the clock of sync is ahead of that of the runs. */
  readonly aheadMs?: number
  readonly targetGroups?: SyncTopicsDeps['targetGroups']
}

export function openFollowing(
  world: Pick<
    SharedFlowFixture,
    'source' | 'target' | 'aws' | 'table' | 'checkpoints' | 'incidents'
  >,
  { aheadMs = 0, targetGroups }: FollowingOptions = {},
): Following {
  const open = (name: string, { brokers }: { readonly brokers: string }) =>
    openCluster({
      name,
      config: { brokers: brokers.split(','), tls: false },
      requestTimeoutMs: 10_000,
    })
  const source = open('primary', world.source)
  const target = open('standby', world.target)
  const client = createDynamoDbClient(world.aws.env)
  const lines: string[] = []
  const deps: SyncTopicsDeps = {
    source,
    target,
    checkpoints: world.checkpoints,
    incidents: world.incidents,
    removal: createCheckpointRemoval(client, world.table),
    clock: { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs },
    askSource: topicId => askForTopicId(source, topicId),
    askTarget: topicId => askForTopicId(target, topicId),
    openTargetAdmin: () => createTopicAdmin(target),
    targetGroups: targetGroups ?? createGroupAdmin(target),
    log: ({ text }) => lines.push(text),
  }
  return {
    lines,
    openTargetAdmin: deps.openTargetAdmin,
    syncTopics: flow => syncTopics(deps, flow),
    async close() {
      client.destroy()
      await Promise.all([source.close(), target.close()])
    },
  }
}
