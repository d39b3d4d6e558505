// Owns what a fail-over drill does with the clusters of a flow: the moves of the commands, and the
// scratch topic and group on either side. Does not own the story (lib/run/drill/rehearse.ts).

import type { FlowConfig } from '../../lib/core/config/config.ts'
import { createGroupAdmin } from '../../lib/io/admin/group-admin.ts'
import { systemClock } from '../../lib/io/clock.ts'
import type { OpenedCluster } from '../../lib/io/cluster/cluster.ts'
import type { DrillMoves, DrillSide } from '../../lib/run/drill/rehearse.ts'
import type { Context } from '../context.ts'
import { failBackFlow } from '../failbacks.ts'
import { failOverFlow } from '../failovers.ts'
import { runOnce, syncFlows } from '../loops.ts'

/** Nothing listens there (tcpmux): a connection is refused, as that to a lost region times out. */
const nobodysAddress = '127.0.0.1:1'

export function openMoves(
  context: Context,
  flow: FlowConfig,
  interrupted: AbortSignal,
): Omit<DrillMoves, 'createTopic'> {
  const confirmed = { flow, isDryRun: false, isConfirmed: true } as const
  return {
    copy: () => runOnce(context, [flow], interrupted),
    sync: () => syncFlows(context, [flow], { mayCommit: true }),
    failOver: how => {
      const isWithout = how === 'unplanned'
      const line = `drill: this command finds nobody at ${nobodysAddress} in place of the brokers of ${flow.from}`
      if (isWithout) context.note(line)
      const at = isWithout ? withoutSource(context, flow.from) : context
      return failOverFlow(at, { ...confirmed, how, topics: null })
    },
    failBack: divergent =>
      failBackFlow(context, { ...confirmed, divergent, exportTo: { file: null, topic: null } }),
  }
}

/** The configuration of a command that does not reach the source: the cluster itself goes on. */
function withoutSource(context: Context, source: string): Context {
  return {
    ...context,
    async config() {
      const config = await context.config()
      const cluster = config.clusters[source]
      if (cluster === undefined) return config
      const unreachable = { ...cluster, brokers: [nobodysAddress] }
      return { ...config, clusters: { ...config.clusters, [source]: unreachable } }
    },
  }
}

export function openSide(
  cluster: OpenedCluster,
  of: {
    readonly drill: string
    readonly topic: string
    readonly partitions: number
    readonly budgets: FlowConfig['budgets']
  },
): DrillSide {
  const { drill, topic } = of
  return {
    topic: { ...of, cluster, clock: systemClock },
    group: { cluster: cluster.name, admin: createGroupAdmin(cluster), group: drill, topic },
  }
}
