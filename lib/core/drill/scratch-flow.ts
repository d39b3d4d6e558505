// Owns what a fail-over drill on the clusters of a flow is called, the flow that it moves, and
// whether another flow would copy its topics. Pure. Does not own what is done with it (run/drill).

import type { Config, FlowConfig } from '../config/config.ts'
import { sameClusters } from '../config/cross-checks.ts'
import { selects, targetTopicName } from '../config/topic-selection.ts'

export const drillPrefix = 'gapless-drill-'

/**
 * The topic of a drill. No pattern matches a name with two underscores in front: those are Kafka's
 * internal topics, and MirrorMaker 2 leaves them out by default as well. So the flows whose
 * functions run on a schedule do not copy it.
 */
export function scratchTopic(drill: string): string {
  return `__${drill}`
}

/**
 * The flow of a drill: between the same clusters and with the same naming and budgets, with rows of
 * its own. The consumer group of the drill has the name of the drill. What applications may do on
 * the standby, and the configs of the topic, are not rehearsed.
 */
export function scratchFlow(flow: FlowConfig, drill: string): FlowConfig {
  return {
    ...flow,
    name: drill,
    topics: [{ kind: 'name', name: scratchTopic(drill) }],
    exclude: [],
    groups: [{ kind: 'name', name: drill }],
    excludeGroups: [],
    startFrom: 'log-start',
    mode: 'batch',
    heartbeats: false,
    rivals: [],
    // No tick of sync follows a drill.
    onReset: flow.onReset === 'recreate' ? 'halt' : flow.onReset,
    sync: { ...flow.sync, configs: 'off', acls: 'off', heartbeats: 'off', deletions: 'report' },
  }
}

/** The flow of the configuration that would copy a topic of the drill, in words; null: none. */
export function copiedByText({ clusters, flows }: Config, scratch: FlowConfig): string | null {
  const isOneCluster = sameClusters(clusters)
  const topic = scratchTopic(scratch.name)
  const made = [
    { cluster: scratch.from, topic },
    { cluster: scratch.to, topic: targetTopicName(scratch, topic) },
  ]
  for (const each of made) {
    const copying = flows.find(
      flow => isOneCluster(flow.from, each.cluster) && selects(flow, each.topic),
    )
    if (copying !== undefined) {
      return (
        `flow ${copying.name} would copy the scratch topic ${each.topic} of the drill from ${each.cluster}: ` +
        `add "/.*${drillPrefix}.*/" to its key exclude`
      )
    }
  }
  return null
}
