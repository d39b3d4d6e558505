// Owns the list of all metrics: name, unit, the functions that emit it, its dimension sets, and its
// meaning. Alarms match exact dimension sets, so infra/alarms.yml and
// infra/dashboard.yml are generated from this list, and the sink (io/metrics.ts) sends by it. Does
// not own where the values come from (run-metrics.ts, watch-metrics.ts, sync-metrics.ts in run).

/** The functions that emit metrics. */
export type Emitter = 'plan' | 'replicate' | 'watch' | 'sync'

export const metricNamespace = 'Gapless'
export const metricService = 'gapless'

/**
 * All dimension sets. `topic` is for the few topics that are behind: CloudWatch charges for each
 * metric, so an idle topic has none. `path` is for the clusters that the heartbeats of a flow came
 * through. `function` names the function of a heartbeat.
 */
export const dimensionSets = {
  stage: ['service', 'stage'],
  flow: ['service', 'stage', 'flow'],
  topic: ['service', 'stage', 'flow', 'topic'],
  path: ['service', 'stage', 'flow', 'path'],
  function: ['service', 'stage', 'function'],
} as const

export type DimensionSet = keyof typeof dimensionSets

/** CloudWatch's unit names. */
export type Unit = 'Count' | 'Count/Second' | 'Bytes' | 'Milliseconds' | 'Seconds'

export type Metric = {
  readonly unit: Unit
  /** `plan` beside `replicate`: `plan` emits zeroes on every tick, so an idle flow has values. */
  readonly by: readonly Emitter[]
  readonly sets: readonly DimensionSet[]
  readonly says: string
}

const perFlow = ['stage', 'flow'] as const
const perTopic = ['stage', 'flow', 'topic'] as const
const perPath = ['stage', 'flow', 'path'] as const

/** Counts of one run: aggregate with Sum. */
const counted = (says: string, unit: Unit = 'Count'): Metric => {
  return { unit, by: ['plan', 'replicate'], sets: perFlow, says }
}

/** A gauge that `watch` emits: aggregate with Maximum, not Sum. */
const watched = (says: string): Metric => {
  return { unit: 'Count', by: ['watch'], sets: perFlow, says }
}

/** A gauge that `sync` emits: aggregate with Maximum, not Sum. */
const synced = (says: string): Metric => {
  return { unit: 'Count', by: ['sync'], sets: perFlow, says }
}

/** A duration, absent where nothing was measured: a zero would claim that it took no time. */
const timed = (says: string): Metric => {
  return { unit: 'Milliseconds', by: ['replicate'], sets: perFlow, says }
}

export const metrics = {
  RecordsReplicated: counted('records that the standby acknowledged'),
  BytesReplicated: counted('bytes of their batches', 'Bytes'),
  ReplicationLatency: timed(
    "from a batch's newest timestamp, where it can be one, to the acknowledgement, of up to 99 batches a line",
  ),
  RecoveryTime: timed(
    "from the detection of a reset to the first checkpoint in the new topic's log",
  ),
  TruncationsDetected: counted('incidents `log-truncated` that were stored'),
  RecordsLost: counted('offsets that incidents say are lost, at the most'),
  TopicResetsDetected: counted('incidents `topic-reset` that were stored'),
  DivergencesDetected: counted('incidents `log-diverged` that were stored'),
  PlacesFilled: counted(
    'offsets of the standby that were filled, because the source has no record there',
  ),
  FillerRate: {
    unit: 'Count/Second',
    by: ['replicate'],
    sets: perFlow,
    says: 'offsets that one partition fills in a second of filling; absent where none was filled',
  },
  OffsetShifts: counted(
    'changes of the distance between the offsets of both sides, with `offsets: preserve`',
  ),
  Errors: {
    unit: 'Count',
    by: ['plan', 'replicate', 'watch', 'sync'],
    sets: perFlow,
    says: 'partitions whose run failed, ends of runs that were not stored, flows whose tick failed',
  },
  LagRecords: {
    ...watched("offsets between positions and the source's log ends, where they can be seen"),
    sets: perTopic,
  },
  LagSeconds: {
    unit: 'Seconds',
    by: ['watch'],
    sets: perTopic,
    says: 'age, by our clock, of the oldest record that is not replicated, of the partition that is worst off',
  },
  TruncationHeadroomSeconds: {
    unit: 'Seconds',
    by: ['watch'],
    sets: perTopic,
    says: 'until retention may delete a record that is not replicated; at most a year',
  },
  OpenIncidents: watched('incidents that nothing has moved past'),
  HaltedPartitions: watched('partitions that wait for `gapless resume`'),
  UnobservedPartitions: watched('partitions of which something could not be observed'),
  UnnoticedDifferences: watched(
    'partitions whose logs and checkpoint differ in a way that no incident records yet',
  ),
  LossyStandbySettings: watched(
    'settings of standby topics that lose what the source keeps, where they could be compared',
  ),
  StalledPartitions: watched(
    'partitions with records to copy whose checkpoint has not been written for minutes',
  ),
  HungTransactions: watched(
    'transactions of the source that never end, behind which nothing is replicated',
  ),
  GroupsUnsynced: synced(
    'consumer groups of which a partition has no offset on the standby that gapless keeps',
  ),
  GroupLagRecords: synced(
    'records that the group which is worst off would read again if it moved to the standby now',
  ),
  HeartbeatAge: {
    unit: 'Seconds',
    by: ['sync'],
    sets: perPath,
    says: 'age of the newest heartbeat on the standby, which has what the source had then; with `sync.heartbeats`',
  },
  HeartbeatLatency: {
    unit: 'Milliseconds',
    by: ['sync'],
    sets: perPath,
    says: 'from writing the last copied heartbeat on its first cluster to its acknowledgement by the standby',
  },
  FailoverState: watched(
    'which cluster applications use: 0 active, 1 failing over, 2 failed over, 3 failing back',
  ),
  FailoverUnattendedSeconds: {
    ...watched('since when no command carries on a fail-over or fail-back that is not finished'),
    unit: 'Seconds',
  },
  Heartbeat: {
    unit: 'Count',
    by: ['plan', 'watch', 'sync'],
    sets: ['function'],
    says: '1 when an invocation came to its end, whatever it found',
  },
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof metrics
export const metricNames = Object.keys(metrics) as readonly MetricName[]

/** A list holds several samples for one EMF line; CloudWatch makes percentiles of them. */
export type MetricValues = Partial<Record<MetricName, number | readonly number[]>>

/** The metrics that `emitter` sends under `set`. */
export function emitted(emitter: Emitter, set: DimensionSet): MetricName[] {
  return metricNames.filter(name => {
    const { by, sets }: Metric = metrics[name]
    return by.includes(emitter) && sets.includes(set)
  })
}

/** Adds the counts and returns a float: beyond 2^53 only the metric loses its last digits. */
export function sum(values: readonly bigint[]): number {
  return Number(values.reduce((total, value) => total + value, 0n))
}
