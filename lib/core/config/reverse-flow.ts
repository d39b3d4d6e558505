// Owns the flow by which a fail-back copies from the standby to the source what applications have
// written there since. It is no flow of the configuration: only a command copies it. Does not own
// where it begins (core/failover/way-back.ts).

import type { FlowConfig } from './config.ts'
import { reverseName } from './cross-checks.ts'

/** The flow in the other direction; `topics`: names of topics on the standby. */
export function reverseFlow(flow: FlowConfig, topics: readonly string[]): FlowConfig {
  return {
    ...flow,
    name: reverseName(flow.name),
    from: flow.to,
    to: flow.from,
    topics: topics.map(name => ({ kind: 'name' as const, name })),
    exclude: [],
    rivals: [],
    // A topic that the old source has no more travels back whole.
    startFrom: 'log-start',
    mode: 'batch',
    isBack: true,
  }
}
