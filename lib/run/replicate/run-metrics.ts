// Owns turning what a tick and a run found into metric values: zeroes included, because an alarm
// cannot tell a value that is missing from one that is fine. How it stands is the auditor's
// (watch-metrics.ts); here is what was done.

import type { Incident } from '../../core/incident.ts'
import { createLatencySample } from '../../core/monitoring/latency-sample.ts'
import { type MetricValues, sum } from '../../core/monitoring/metric.ts'
import type { PartitionReport } from '../partition/partition-run.ts'
import type { RunMeter } from '../partition/shard-run.ts'
import type { ReplicateReport } from './replicate.ts'

/** What every tick says, so that the counts of workers have zeroes where there is no work. */
export function planMetrics({ errors }: { readonly errors: number }): MetricValues {
  return { ...countsOf([]), Errors: errors }
}

/**
 * Measures one run and says so in pieces: a worker may go on for a quarter of an hour, and an alarm
 * is to hear of a truncation before it ends. Each piece has only what is new in it.
 */
export function createRunMeter(
  send: (values: MetricValues) => void,
): RunMeter & { end(report: Pick<ReplicateReport, 'partitions' | 'failures'>): void } {
  const latencies = createLatencySample()
  const recoveries = createLatencySample()
  let told = countsOf([])
  const tell = (partitions: readonly PartitionReport[], errors: number) => {
    const now = countsOf(partitions)
    const since = difference(now, told)
    told = now
    const times = { ReplicationLatency: latencies.take(), RecoveryTime: recoveries.take() }
    send({ ...since, Errors: errors, ...times })
  }
  return {
    // A producer's clock may be ahead of ours.
    copied: latencyMs => latencies.add(Math.max(0, latencyMs)),
    recovered: tookMs => recoveries.add(Math.max(0, tookMs)),
    tell: partitions => tell(partitions, 0),
    end({ partitions, failures }) {
      const failed = partitions.filter(each => each.outcome === 'failed')
      tell(partitions, failed.length + failures.length)
    },
  }
}

type Counts = Record<
  | 'RecordsReplicated'
  | 'BytesReplicated'
  | 'TruncationsDetected'
  | 'RecordsLost'
  | 'TopicResetsDetected'
  | 'DivergencesDetected',
  number
>

function countsOf(partitions: readonly PartitionReport[]): Counts {
  const incidents = partitions.flatMap(each => each.incidents)
  const count = (kind: Incident['kind']) => incidents.filter(each => each.kind === kind).length
  return {
    RecordsReplicated: sum(partitions.map(each => each.recordsReplicated)),
    BytesReplicated: sum(partitions.map(each => each.bytesReplicated)),
    TruncationsDetected: count('log-truncated'),
    RecordsLost: sum(incidents.map(each => each.lostRecordsMax ?? 0n)),
    TopicResetsDetected: count('topic-reset'),
    DivergencesDetected: count('log-diverged'),
  }
}

function difference(now: Counts, before: Counts): Counts {
  return Object.fromEntries(
    Object.entries(now).map(([name, value]) => [name, value - before[name as keyof Counts]]),
  ) as Counts
}
