// Owns the one list of what is measured: name, unit, which function emits it, the dimension sets it
// goes out with, and what it says. Alarms match exact dimension sets, so infra/alarms.yml and
// infra/dashboard.yml are generated from this list, and the sink (io/metrics.ts) sends by it. Does
// not own where the values come from (run/replicate/run-metrics.ts, run/watch/watch-metrics.ts).

/** The functions that emit. */
export type Emitter = 'plan' | 'replicate' | 'watch'

export const metricNamespace = 'Gapless'
export const metricService = 'gapless'

/**
 * The dimension sets there are. `topic` is for the few topics that are behind: each one is a metric
 * that is paid for, so an idle topic has none. `function` tells whose heartbeat it is.
 */
export const dimensionSets = {
  stage: ['service', 'stage'],
  flow: ['service', 'stage', 'flow'],
  topic: ['service', 'stage', 'flow', 'topic'],
  function: ['service', 'stage', 'function'],
} as const

export type DimensionSet = keyof typeof dimensionSets

/** CloudWatch's names of units. */
export type Unit = 'Count' | 'Bytes' | 'Milliseconds' | 'Seconds'

export type Metric = {
  readonly unit: Unit
  /** `plan` beside `replicate`: zeroes on every tick, also when there is nothing to replicate. */
  readonly by: readonly Emitter[]
  readonly sets: readonly DimensionSet[]
  readonly says: string
}

const perFlow = ['stage', 'flow'] as const
const perTopic = ['stage', 'flow', 'topic'] as const

/** Of what one run did: to be summed up. */
const counted = (says: string, unit: Unit = 'Count'): Metric => {
  return { unit, by: ['plan', 'replicate'], sets: perFlow, says }
}

/** Of how it stands right now, as the auditor sees it: take the maximum, not the sum. */
const audited = (says: string): Metric => {
  return { unit: 'Count', by: ['watch'], sets: perFlow, says }
}

/** How long something took, only where there was something: a zero would be a claim. */
const timed = (says: string): Metric => {
  return { unit: 'Milliseconds', by: ['replicate'], sets: perFlow, says }
}

export const metrics = {
  RecordsReplicated: counted('records that the standby acknowledged'),
  BytesReplicated: counted('bytes of their batches', 'Bytes'),
  ReplicationLatency: timed(
    "from a batch's newest timestamp to the standby's acknowledgement, of up to 99 batches a line",
  ),
  RecoveryTime: timed(
    "from the detection of a reset to the first checkpoint in the new topic's log",
  ),
  TruncationsDetected: counted('incidents `log-truncated` that were stored'),
  RecordsLost: counted('offsets that incidents say are lost, at the most'),
  TopicResetsDetected: counted('incidents `topic-reset` that were stored'),
  DivergencesDetected: counted('incidents `log-diverged` that were stored'),
  Errors: {
    unit: 'Count',
    by: ['plan', 'replicate', 'watch'],
    sets: perFlow,
    says: 'partitions whose run failed, ends of runs that were not stored, flows whose tick failed',
  },
  LagRecords: {
    ...audited("offsets between positions and the source's log ends, where they can be seen"),
    sets: perTopic,
  },
  LagSeconds: {
    unit: 'Seconds',
    by: ['watch'],
    sets: perTopic,
    says: 'age of the oldest record that is not replicated, of the partition that is worst off',
  },
  TruncationHeadroomSeconds: {
    unit: 'Seconds',
    by: ['watch'],
    sets: perTopic,
    says: 'until retention may delete a record that is not replicated; at most a year',
  },
  OpenIncidents: audited('incidents that nothing has moved past'),
  HaltedPartitions: audited('partitions that wait for `gapless resume`'),
  UnobservedPartitions: audited('partitions of which something could not be observed'),
  UnnoticedDifferences: audited(
    'partitions whose logs and checkpoint differ in a way that nobody has dealt with yet',
  ),
  StalledPartitions: audited('partitions with records to copy that nobody has touched for minutes'),
  Heartbeat: {
    unit: 'Count',
    by: ['plan', 'watch'],
    sets: ['function'],
    says: '1 when an invocation came to its end, whatever it found',
  },
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof metrics
export const metricNames = Object.keys(metrics) as readonly MetricName[]

/** A list where several values of one line are told apart: percentiles are made of them. */
export type MetricValues = Partial<Record<MetricName, number | readonly number[]>>

/** What `emitter` sends under `set`. */
export function emitted(emitter: Emitter, set: DimensionSet): MetricName[] {
  return metricNames.filter(name => {
    const { by, sets }: Metric = metrics[name]
    return by.includes(emitter) && sets.includes(set)
  })
}

/**
 * Metric values are floats; a sum of counts beyond 2^53 loses its last
 * digits there, not in any record.
 */
export function sum(values: readonly bigint[]): number {
  return Number(values.reduce((total, value) => total + value, 0n))
}
