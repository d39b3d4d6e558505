// Owns the flow that carries back what was written on the standby: the same topics, from the
// standby to the source, each into the topic that it is a copy of. Does not own where it begins
// (way-back.ts).

import type { FlowConfig } from '../config/config.ts'
import { reverseName } from '../config/cross-checks.ts'

/**
 * The flow back of these topics. A continuous worker of it would have to be fenced before the fail
 * back is over, so it runs in batch mode. Its configs, ACLs and heartbeats stay as they are.
 */
export function reverseFlow(
  flow: FlowConfig,
  topics: readonly { readonly topic: string; readonly targetTopic: string }[],
): FlowConfig {
  const names = new Map(topics.map(each => [each.targetTopic, each.topic]))
  return {
    ...flow,
    name: reverseName(flow.name),
    from: flow.to,
    to: flow.from,
    topics: [...names.keys()].map(name => ({ kind: 'name', name })),
    exclude: [],
    naming: 'identity',
    targetNames: Object.fromEntries(names),
    heartbeats: false,
    mode: 'batch',
    rivals: [],
    // No tick of sync follows this flow, and nothing is deleted on the source.
    onReset: flow.onReset === 'recreate' ? 'halt' : flow.onReset,
    sync: { ...flow.sync, configs: 'off', acls: 'off', heartbeats: 'off', deletions: 'report' },
  }
}
