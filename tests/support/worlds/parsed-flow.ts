// A flow as parsed from a configuration file, with the default of every setting a test does not
// name.

import { type FlowConfig, parseConfig } from '../../../lib/core/config/config.ts'

/** The first flow of a configuration. */
export function parseFlow(document: unknown): FlowConfig {
  const parsed = parseConfig(document)
  const flow = parsed.kind === 'valid' ? parsed.config.flows[0] : undefined
  if (flow === undefined) throw new Error(`bad test flow: ${JSON.stringify(parsed)}`)
  return flow
}

/** A flow from `primary` to `standby` at unreachable addresses, for clusters in memory. */
export function flowOf(fields: Record<string, unknown> = {}): FlowConfig {
  return parseFlow({
    clusters: { primary: { brokers: ['a:1'] }, standby: { brokers: ['b:2'] } },
    flows: [{ name: 'flow', from: 'primary', to: 'standby', topics: ['/.*/'], ...fields }],
  })
}
