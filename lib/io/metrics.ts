// Owns sending metrics: CloudWatch's embedded metric format by Powertools; nothing is sent from
// here, the log line is the metric. What there is to send, and under which dimension sets, is the
// one list (core/monitoring/metric.ts).

import type { Metrics } from '@aws-lambda-powertools/metrics'
import {
  type DimensionSet,
  type Emitter,
  emitted,
  metrics as list,
  type MetricValues,
} from '../core/monitoring/metric.ts'

export type MetricSink = {
  /** Values of one flow: one line for the flow, one for all flows together. */
  flow(flow: string, values: MetricValues): void
  /** Values of one topic that deserves it: one line. */
  topic(at: { readonly flow: string; readonly topic: string }, values: MetricValues): void
  /** Says that this function came to its end. */
  heartbeat(): void
}

/** `powertools` carries the namespace, the service and the stage. */
export function emfSink(powertools: Metrics, emitter: Emitter): MetricSink {
  const emit = (set: DimensionSet, dimensions: Record<string, string>, values: MetricValues) => {
    let isEmpty = true
    // Only what the list says: an alarm on anything else would wait for ever.
    for (const name of emitted(emitter, set)) {
      for (const value of [values[name] ?? []].flat()) {
        powertools.addMetric(name, list[name].unit, value)
        isEmpty = false
      }
    }
    if (isEmpty) return
    for (const [name, value] of Object.entries(dimensions)) powertools.addDimension(name, value)
    powertools.publishStoredMetrics()
  }
  return {
    flow(flow, values) {
      emit('stage', {}, values)
      emit('flow', { flow }, values)
    },
    topic: (at, values) => emit('topic', at, values),
    heartbeat: () => emit('function', { function: emitter }, { Heartbeat: 1 }),
  }
}
