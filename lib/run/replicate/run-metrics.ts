// Owns the metric values of a tick and of a run: how many records were copied and how many
// incidents were stored. Zeroes are included, because an alarm cannot tell a missing value from a
// good one. Does not own the gauges, such as lag and headroom (run/watch/watch-metrics.ts).

import type { Incident } from '../../core/incident.ts'
import { createLatencySample } from '../../core/monitoring/latency-sample.ts'
import { type MetricValues, sum } from '../../core/monitoring/metric.ts'
import type { CopiedSoFar } from '../partition/partition-run.ts'
import type { RunMeter } from '../partition/shard-run.ts'
import type { ReplicateReport } from './replicate.ts'

/** The counts of a tick: zeroes, so that each count has a value where no worker runs. */
export function planMetrics({ errors }: { readonly errors: number }): MetricValues {
  return { ...countsOf([]), Errors: errors }
}

/**
 * Measures one run and sends its metrics in pieces: a worker may go on for a quarter of an hour,
 * and an alarm must see a truncation before the worker ends. Each piece counts since the piece
 * before.
 */
export function createRunMeter(
  send: (values: MetricValues) => void,
): RunMeter & { end(report: Pick<ReplicateReport, 'partitions' | 'failures'>): void } {
  const latencies = createLatencySample()
  const recoveries = createLatencySample()
  let told = countsOf([])
  let toldFillingMs = 0
  /** That of one partition: while several fill at once, the time counts for each of them. */
  const rate = (places: number, partitions: readonly CopiedSoFar[]): MetricValues => {
    const fillingMs = total(partitions.map(each => each.fillingMs))
    const tookMs = fillingMs - toldFillingMs
    toldFillingMs = fillingMs
    return places > 0 && tookMs > 0 ? { FillerRate: Math.round((places * 1000) / tookMs) } : {}
  }
  const tell = (partitions: readonly CopiedSoFar[], errors: number) => {
    const now = countsOf(partitions)
    const since = difference(now, told)
    told = now
    const times = { ReplicationLatency: latencies.take(), RecoveryTime: recoveries.take() }
    send({ ...since, Errors: errors, ...times, ...rate(since.PlacesFilled, partitions) })
  }
  return {
    copied: latencyMs => latencies.add(latencyMs),
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
  | 'DivergencesDetected'
  | 'PlacesFilled'
  | 'OffsetShifts',
  number
>

function countsOf(partitions: readonly CopiedSoFar[]): Counts {
  const incidents = partitions.flatMap(each => each.incidents)
  const count = (kind: Incident['kind']) => incidents.filter(each => each.kind === kind).length
  return {
    RecordsReplicated: sum(partitions.map(each => each.recordsReplicated)),
    BytesReplicated: sum(partitions.map(each => each.bytesReplicated)),
    TruncationsDetected: count('log-truncated'),
    RecordsLost: sum(incidents.map(each => each.lostRecordsMax ?? 0n)),
    TopicResetsDetected: count('topic-reset'),
    DivergencesDetected: count('log-diverged'),
    PlacesFilled: total(partitions.map(each => each.placesFilled)),
    OffsetShifts: total(partitions.map(each => each.offsetShifts)),
  }
}

const total = (counts: readonly number[]) => counts.reduce((all, each) => all + each, 0)

function difference(now: Counts, before: Counts): Counts {
  return Object.fromEntries(
    Object.entries(now).map(([name, value]) => [name, value - before[name as keyof Counts]]),
  ) as Counts
}
