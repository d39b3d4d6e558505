// Owns emitting metrics in CloudWatch's embedded metric format, by Powertools: CloudWatch reads the
// metric from the log line, so no request is sent. Does not own which metrics exist and under which
// dimension sets (core/monitoring/metric.ts).

import type { Metrics } from '@aws-lambda-powertools/metrics'
import {
  type DimensionSet,
  type Emitter,
  emitted,
  metrics as list,
  type MetricValues,
} from '../core/monitoring/metric.ts'

export type MetricSink = {
  /** Emits the values of one flow: one line for the flow, one for all flows of the stage. */
  flow(flow: string, values: MetricValues): void
  /** Emits the values of one topic, in one line. */
  topic(at: { readonly flow: string; readonly topic: string }, values: MetricValues): void
  /** Emits the values of one way that heartbeats take, in one line. */
  path(at: { readonly flow: string; readonly path: string }, values: MetricValues): void
  /** Emits the heartbeat: this function has come to its end. */
  heartbeat(): void
}

/** `powertools` carries the namespace, the service and the stage. */
export function emfSink(powertools: Metrics, emitter: Emitter): MetricSink {
  const emit = (set: DimensionSet, dimensions: Record<string, string>, values: MetricValues) => {
    let isEmpty = true
    // Emits no metric beyond the list: alarms are made from the list, so none looks at another one.
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
    path: (at, values) => emit('path', at, values),
    heartbeat: () => emit('function', { function: emitter }, { Heartbeat: 1 }),
  }
}
