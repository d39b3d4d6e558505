// Owns the names of what is measured and the dimension sets it goes out with. Alarms match exact
// dimension sets, so every metric goes out under the same two: [service, stage] and [service,
// stage, flow]. CloudWatch's embedded metric format by Powertools; nothing is sent from here,
// the log line is the metric.

import { type Metrics, MetricUnit } from '@aws-lambda-powertools/metrics'

export const metricUnits = {
  RecordsReplicated: MetricUnit.Count,
  BytesReplicated: MetricUnit.Bytes,
  LagRecords: MetricUnit.Count,
  TruncationsDetected: MetricUnit.Count,
  RecordsLost: MetricUnit.Count,
  TopicResetsDetected: MetricUnit.Count,
  DivergencesDetected: MetricUnit.Count,
  OpenIncidents: MetricUnit.Count,
  HaltedPartitions: MetricUnit.Count,
  UnobservedPartitions: MetricUnit.Count,
  Errors: MetricUnit.Count,
} as const

export type MetricName = keyof typeof metricUnits
export type MetricValues = Partial<Record<MetricName, number>>

/** Sends values of one flow: one line for the flow, one for all flows together. */
export type MetricSink = (flow: string, values: MetricValues) => void

/** `metrics` carries the namespace, the service and the stage. */
export function emfSink(metrics: Metrics): MetricSink {
  const emit = (values: MetricValues) => {
    for (const [name, unit] of Object.entries(metricUnits) as [
      MetricName,
      (typeof metricUnits)[MetricName],
    ][]) {
      const value = values[name]
      if (value !== undefined) metrics.addMetric(name, unit, value)
    }
    metrics.publishStoredMetrics()
  }
  return (flow, values) => {
    emit(values)
    metrics.addDimension('flow', flow)
    emit(values)
  }
}
