// Owns opening the dependencies of one flow: both clusters, the stores, the client for standby
// topics. The functions and the command line use it alike. The client that changes topics is loaded
// only when a topic must change, so a worker that only copies never loads it.

import { hostname } from 'node:os'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { ClusterConfig, Config, FlowConfig } from '../core/config/config.ts'
import { systemClock } from '../io/clock.ts'
import { openCluster } from '../io/cluster/cluster.ts'
import type { TopicConfigReader } from '../io/cluster/topic-config.ts'
import type { Log } from '../io/log.ts'
import { createCheckpointStore } from '../io/table/checkpoint-store.ts'
import { createIncidentStore } from '../io/table/incident-store.ts'
import { createNotificationStore, type NotificationStore } from '../io/table/notification-store.ts'
import type { RunOnceDeps } from './operate/run-once.ts'

export type OpenFlow = {
  readonly deps: RunOnceDeps
  /** What `watch` needs besides: the source's topic configs, and which notifications were sent. */
  readonly auditing: {
    readonly sourceConfigs: TopicConfigReader
    readonly notifications: NotificationStore
  }
  readonly close: () => Promise<void>
}

let opened = 0

/** Makes no connection yet: each one is opened when it is first needed. */
export function openFlow(input: {
  readonly config: Config
  readonly flow: FlowConfig
  readonly client: DynamoDBClient
  readonly table: string
  readonly log: Log
}): OpenFlow {
  const { config, flow, client, table, log } = input
  const { requestTimeoutMs } = flow.budgets
  const sourceConfig = clusterOf(config, flow.from)
  const targetConfig = clusterOf(config, flow.to)
  const source = openCluster({ name: flow.from, config: sourceConfig, requestTimeoutMs })
  const target = openCluster({ name: flow.to, config: targetConfig, requestTimeoutMs })
  return {
    deps: {
      source,
      target,
      checkpoints: createCheckpointStore(client, table),
      incidents: createIncidentStore(client, table),
      clock: systemClock,
      log,
      owner: newOwner(),
      openTargetAdmin: async () => {
        const { createTopicAdmin } = await import('../io/admin/topic-admin.ts')
        return createTopicAdmin({ name: flow.to, config: targetConfig })
      },
    },
    auditing: {
      sourceConfigs: source,
      notifications: createNotificationStore(client, table),
    },
    close: async () => {
      await Promise.all([source.close(), target.close()])
    },
  }
}

/** Unique; names the machine, the process and the time, for the person who reads a lease. */
export function newOwner(): string {
  opened += 1
  return `${hostname()}/${process.pid}/${systemClock.nowMs()}-${opened}`
}

function clusterOf(config: Config, name: string): ClusterConfig {
  const found = config.clusters[name]
  // The schema refuses a flow whose clusters do not exist.
  if (found === undefined) throw new Error(`no cluster ${name} in the configuration`)
  return found
}
