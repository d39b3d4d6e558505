// Owns opening what the loops of one flow need: both clusters, the stores, the administration of
// standby topics. Used alike by the functions and the command line.

import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { asWatch } from '../core/config/cluster-config.ts'
import type { ClusterConfig, Config, FlowConfig } from '../core/config/config.ts'
import type { IdAnswer } from '../core/sync/deletion.ts'
import { type AclAdmin, createAclAdmin } from '../io/admin/acl-admin.ts'
import { createGroupAdmin, type GroupAdmin } from '../io/admin/group-admin.ts'
import { createPrincipalAdmin, type PrincipalAdmin } from '../io/admin/principal-admin.ts'
import { createTopicAdmin, type TopicAdmin } from '../io/admin/topic-admin.ts'
import { askForTopicId } from '../io/admin/topic-id-answer.ts'
import { type AnchorStore, createAnchorStore } from '../io/anchors/anchor-store.ts'
import { systemClock } from '../io/clock.ts'
import { openCluster } from '../io/cluster/cluster.ts'
import type { TopicConfigReader } from '../io/cluster/topic-config.ts'
import { createFailoverStore, type FailoverStore } from '../io/failover/failover-store.ts'
import type { Log } from '../io/log.ts'
import { type AclStore, createAclStore } from '../io/sync/acl-store.ts'
import { type CheckpointRemoval, createCheckpointRemoval } from '../io/sync/checkpoint-removal.ts'
import { createGroupStore, type GroupStore } from '../io/sync/group-store.ts'
import { createCheckpointStore } from '../io/table/checkpoint-store.ts'
import { createIncidentHistory, type IncidentHistory } from '../io/table/incident-history.ts'
import { createIncidentStore } from '../io/table/incident-store.ts'
import { createNotificationStore, type NotificationStore } from '../io/table/notification-store.ts'
import { createWorkerStore } from '../io/table/worker-store.ts'
import type { RunOnceDeps } from './operate/run-once.ts'

export type OpenFlow = {
  /** `sourceConfigs`: for `watch` and `gapless status`, which tell the headroom. */
  readonly deps: RunOnceDeps & {
    readonly sourceConfigs: TopicConfigReader
    readonly anchors: AnchorStore
  }
  /** For `watch` alone: which notifications were sent, and the history of incidents. */
  readonly watching: {
    readonly notifications: NotificationStore
    readonly history: IncidentHistory
  }
  /** For `sync` and `gapless groups`. */
  readonly syncing: {
    readonly sourceGroups: GroupAdmin
    readonly targetGroups: GroupAdmin
    readonly groupRows: GroupStore
  }
  /** For `sync`: what its steps about topics, ACLs and heartbeats need besides `deps`. */
  readonly following: {
    readonly removal: CheckpointRemoval
    readonly acls: AclStore
    readonly sourceAcls: AclAdmin
    readonly targetAcls: AclAdmin
    readonly sourcePrincipals: PrincipalAdmin
    readonly targetPrincipals: PrincipalAdmin
    readonly askSource: (topicId: string) => Promise<IdAnswer>
    readonly askTarget: (topicId: string) => Promise<IdAnswer>
    readonly openSourceAdmin: () => TopicAdmin
  }
  /** For the commands that move a flow from one cluster to the other. */
  readonly failovers: FailoverStore
  readonly close: () => Promise<void>
}

/** Makes no connection yet: each one is opened when it is first needed. */
export function openFlow(input: {
  readonly config: Config
  readonly flow: FlowConfig
  readonly client: DynamoDBClient
  readonly table: string
  readonly log: Log
  /** `watch`: with the identity that a cluster has for the watch function, where it has one. */
  readonly as?: 'watch'
}): OpenFlow {
  const { config, flow, client, table, log, as } = input
  const { requestTimeoutMs } = flow.budgets
  const open = (name: string) => {
    const cluster = clusterOf(config, name)
    return openCluster({
      name,
      config: as === 'watch' ? asWatch(cluster) : cluster,
      requestTimeoutMs,
    })
  }
  const source = open(flow.from)
  const target = open(flow.to)
  return {
    deps: {
      source,
      target,
      sourceConfigs: source,
      checkpoints: createCheckpointStore(client, table),
      workers: createWorkerStore(client, table),
      incidents: createIncidentStore(client, table, flow.incidentsKeptDays),
      anchors: createAnchorStore(client, table),
      clock: systemClock,
      log,
      owner: newOwner(),
      openTargetAdmin: () => createTopicAdmin(target),
    },
    watching: {
      notifications: createNotificationStore(client, table),
      history: createIncidentHistory(client, table, flow.incidentsKeptDays),
    },
    syncing: {
      sourceGroups: createGroupAdmin(source),
      targetGroups: createGroupAdmin(target),
      groupRows: createGroupStore(client, table),
    },
    following: {
      removal: createCheckpointRemoval(client, table),
      acls: createAclStore(client, table),
      sourceAcls: createAclAdmin(source),
      targetAcls: createAclAdmin(target),
      sourcePrincipals: createPrincipalAdmin(source),
      targetPrincipals: createPrincipalAdmin(target),
      askSource: topicId => askForTopicId(source, topicId),
      askTarget: topicId => askForTopicId(target, topicId),
      openSourceAdmin: () => createTopicAdmin(source),
    },
    failovers: createFailoverStore(client, table),
    close: async () => {
      await Promise.all([source.close(), target.close()])
    },
  }
}

/**
 * A lease owner. The random part makes the name unique: a store takes an equal name for the same
 * run whose answer was lost, and containers may share host name, process id and time. The part
 * before it (host, process, Unix time in ms) is for the person who reads a lease.
 */
export function newOwner(): string {
  return `${hostname()}/${process.pid}/${systemClock.nowMs()}/${randomUUID()}`
}

function clusterOf(config: Config, name: string): ClusterConfig {
  const found = config.clusters[name]
  // The schema refuses a flow whose clusters do not exist.
  if (found === undefined) throw new Error(`no cluster ${name} in the configuration`)
  return found
}
