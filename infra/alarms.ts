// Owns the alarms: the metric and dimension set of each, its threshold, its meaning and the command
// to run. `node infra/generate-monitoring.ts` writes them to infra/alarms.yml; a test fails while
// the file is not up to date, and when an alarm waits for a metric that no function emits. Does not
// own the metrics (lib/core/monitoring/metric.ts) nor the runbook (docs/OPERATING.md, one heading
// for each alarm).

import {
  type DimensionSet,
  dimensionSets,
  type Emitter,
  type MetricName,
  metricNamespace,
  metricService,
} from '../lib/core/monitoring/metric.ts'

export type Alarm = {
  /** The name of the alarm is `gapless-<stage>-<id>`. */
  readonly id: string
  readonly metric: MetricName
  /** The function of a heartbeat; every other alarm covers all flows of the stage together. */
  readonly of?: Emitter
  readonly statistic: 'Sum' | 'Maximum' | 'Minimum'
  readonly when: 'above' | 'below'
  readonly threshold: number
  /** The alarm goes off after so many minutes in a row. */
  readonly minutes: number
  /**
   * How missing data counts: a missing heartbeat is a breach, because the value is the sign of
   * life.
   */
  readonly missing: 'breaching' | 'notBreaching'
  /** Part of the composite alarm "data at risk". */
  readonly isRisk: boolean
  readonly means: string
  readonly run: string
}

const lost = { statistic: 'Sum', when: 'above', threshold: 0, minutes: 1 } as const
const standing = { statistic: 'Maximum', when: 'above', threshold: 0, minutes: 3 } as const
const beating = { statistic: 'Sum', when: 'below', threshold: 1, minutes: 3 } as const
const quiet = { missing: 'notBreaching', isRisk: true } as const

const look = 'gapless incidents; gapless status'

export const alarms: readonly Alarm[] = [
  {
    id: 'truncation',
    metric: 'TruncationsDetected',
    ...lost,
    ...quiet,
    means:
      'The source deleted records before they were replicated. The standby will never have them.',
    run: 'gapless incidents (which offsets), then gapless resume TOPIC:PARTITION',
  },
  {
    id: 'headroom',
    metric: 'TruncationHeadroomSeconds',
    statistic: 'Minimum',
    when: 'below',
    threshold: 4 * 3600,
    minutes: 3,
    ...quiet,
    means:
      'Retention will delete records within 4 hours that are not replicated yet. Nothing is lost yet.',
    run: 'gapless status; lengthen retention.ms or retention.bytes of the topic on the source',
  },
  {
    id: 'reset',
    metric: 'TopicResetsDetected',
    ...lost,
    ...quiet,
    means:
      'A topic was deleted and recreated on the source. Records that were not replicated before are lost.',
    run: look,
  },
  {
    id: 'divergence',
    metric: 'DivergencesDetected',
    ...lost,
    ...quiet,
    means: 'The source lost records that the standby has (unclean leader election).',
    run: 'gapless incidents (which offsets), then gapless resume TOPIC:PARTITION',
  },
  {
    id: 'halted',
    metric: 'HaltedPartitions',
    ...standing,
    minutes: 1,
    ...quiet,
    means: 'A partition is halted: it is not replicated until an operator resumes it.',
    run: 'gapless status; gapless resume TOPIC:PARTITION',
  },
  {
    id: 'unnoticed',
    metric: 'UnnoticedDifferences',
    ...standing,
    ...quiet,
    means:
      'watch sees a truncation, reset or divergence for which replication has stored no incident.',
    run: `${look}; read the logs of plan and replicate`,
  },
  {
    id: 'stalled',
    metric: 'StalledPartitions',
    ...standing,
    ...quiet,
    means:
      'A partition has records to copy, and no worker has written its checkpoint for 5 minutes.',
    run: 'gapless status; read the logs of plan and replicate; raise workersMax',
  },
  {
    id: 'lossy-standby',
    metric: 'LossyStandbySettings',
    ...standing,
    ...quiet,
    means:
      'A standby topic has settings by which it deletes, changes or refuses what the source keeps.',
    run: 'gapless status (each setting, with the command that mends it)',
  },
  {
    id: 'hung-transaction',
    metric: 'HungTransactions',
    ...standing,
    ...quiet,
    means:
      'A transaction on the source has been open for 20 minutes. Nothing behind it is replicated.',
    run: 'the logs of watch name it; kafka-transactions.sh find-hanging, then abort, on the source',
  },
  {
    id: 'failover-unattended',
    metric: 'FailoverUnattendedSeconds',
    statistic: 'Maximum',
    when: 'above',
    threshold: 120,
    minutes: 2,
    ...quiet,
    means:
      'A fail-over or fail-back was begun, and its command has ended before it was done. Nothing is copied.',
    run: 'gapless status (which step), then gapless failover, or failback, again with the same options',
  },
  {
    id: 'lag',
    metric: 'LagSeconds',
    statistic: 'Maximum',
    when: 'above',
    threshold: 15 * 60,
    minutes: 5,
    missing: 'notBreaching',
    isRisk: false,
    means: 'The oldest record that is not replicated is more than 15 minutes old.',
    run: 'gapless status',
  },
  {
    id: 'unobserved',
    metric: 'UnobservedPartitions',
    ...standing,
    missing: 'notBreaching',
    isRisk: false,
    means:
      'A partition cannot be observed: a broker, its topic or its row in the table. Its lag is unknown.',
    run: 'gapless status; the log of watch names what did not answer',
  },
  {
    id: 'open-incident',
    metric: 'OpenIncidents',
    ...standing,
    missing: 'notBreaching',
    isRisk: false,
    means: 'An incident is open: no policy and no operator has resolved it.',
    run: 'gapless incidents',
  },
  {
    id: 'offsets-shifted',
    metric: 'OffsetShifts',
    ...lost,
    missing: 'notBreaching',
    isRisk: false,
    means:
      'Records behind an offset no longer have the offset of the source on the standby. No record is lost.',
    run: 'gapless status (since which offset, by how much and why); gapless translate TOPIC:PARTITION@OFFSET',
  },
  {
    id: 'errors',
    metric: 'Errors',
    ...lost,
    minutes: 3,
    missing: 'notBreaching',
    isRisk: false,
    means: 'A partition failed in its run, or a function could not finish its work for a flow.',
    run: 'read the logs of plan, replicate, watch and sync',
  },
  {
    id: 'groups-unsynced',
    metric: 'GroupsUnsynced',
    ...standing,
    minutes: 10,
    missing: 'notBreaching',
    isRisk: false,
    means:
      'A consumer group does not follow to the standby: after a fail-over it would not go on where it was.',
    run: 'gapless groups (why, and what to grant); excludeGroups for those that need not follow',
  },
  {
    id: 'group-lag',
    metric: 'GroupLagRecords',
    statistic: 'Maximum',
    when: 'above',
    threshold: 100_000,
    minutes: 10,
    missing: 'notBreaching',
    isRisk: false,
    means: 'A consumer group would read more than 100,000 records again after a fail-over.',
    run: 'gapless groups; the log of sync',
  },
  {
    id: 'heartbeat-plan',
    metric: 'Heartbeat',
    of: 'plan',
    ...beating,
    missing: 'breaching',
    isRisk: true,
    means: 'plan has not finished for 3 minutes: no partition is handed to a worker.',
    run: 'read the log of plan; check its schedule and its concurrency',
  },
  {
    id: 'heartbeat-watch',
    metric: 'Heartbeat',
    of: 'watch',
    ...beating,
    missing: 'breaching',
    isRisk: true,
    means:
      'watch has not finished for 3 minutes: no health metric is emitted and no incident is published.',
    run: 'read the log of watch; check its schedule and its concurrency',
  },
  {
    id: 'heartbeat-sync',
    metric: 'Heartbeat',
    of: 'sync',
    ...beating,
    missing: 'breaching',
    isRisk: true,
    means: 'sync has not finished for 3 minutes: consumer groups stay behind on the standby.',
    run: 'read the log of sync; check its schedule and its concurrency',
  },
]

/** The dimensions of the alarm. CloudWatch matches them exactly: no more and no fewer. */
export function dimensionSetOf(alarm: Alarm): DimensionSet {
  return alarm.of === undefined ? 'stage' : 'function'
}

export type Resource = {
  readonly Type: string
  readonly DependsOn?: readonly string[]
  readonly Properties?: Readonly<Record<string, unknown>>
}

export type AlarmOptions = {
  readonly stage: string
  /** Length of a period in seconds; a test takes shorter ones. */
  readonly periodS?: number
  /** Periods in a row at most; a test waits for fewer of them. */
  readonly periodsMax?: number
}

export const alertTopicId = 'AlertTopic'

/** CloudFormation resources: the alert topic, every alarm, and the composite alarm. */
export function alarmResources(options: AlarmOptions): Record<string, Resource> {
  const { stage } = options
  const told = [{ Ref: alertTopicId }]
  return {
    [alertTopicId]: {
      Type: 'AWS::SNS::Topic',
      Properties: { TopicName: `gapless-${stage}-alerts` },
    },
    ...Object.fromEntries(
      alarms.map(alarm => [
        logicalId(alarm),
        {
          Type: 'AWS::CloudWatch::Alarm',
          Properties: {
            ...propertiesOf(alarm, options),
            AlarmActions: told,
            OKActions: told,
          },
        },
      ]),
    ),
    DataAtRiskAlarm: {
      Type: 'AWS::CloudWatch::CompositeAlarm',
      DependsOn: alarms.filter(each => each.isRisk).map(logicalId),
      Properties: {
        AlarmName: `gapless-${stage}-data-at-risk`,
        AlarmDescription:
          'Records are lost or about to be lost, or the functions do not run. One alarm for a pager: the alarms ' +
          `that it combines name the cause, and go to the alert topic themselves. Run: ${look}`,
        AlarmRule: {
          'Fn::Sub': alarms
            .filter(each => each.isRisk)
            .map(each => `ALARM("${alarmArn(alarmName(each, stage))}")`)
            .join(' OR '),
        },
      },
    },
  }
}

/** The ARN of an alarm, with the variables that Fn::Sub replaces. */
export function alarmArn(name: string): string {
  return `arn:\${AWS::Partition}:cloudwatch:\${AWS::Region}:\${AWS::AccountId}:alarm:${name}`
}

export function alarmName({ id }: Pick<Alarm, 'id'>, stage: string): string {
  return `gapless-${stage}-${id}`
}

function logicalId({ id }: Alarm): string {
  const words = id.split('-').map(word => word.charAt(0).toUpperCase() + word.slice(1))
  return `${words.join('')}Alarm`
}

function propertiesOf(alarm: Alarm, options: AlarmOptions): Record<string, unknown> {
  const { stage, periodS = 60, periodsMax = alarm.minutes } = options
  const values: Record<string, string> = { service: metricService, stage, function: alarm.of ?? '' }
  return {
    AlarmName: alarmName(alarm, stage),
    AlarmDescription: `${alarm.means} Run: ${alarm.run}. Runbook: docs/OPERATING.md, "${alarm.id}".`,
    Namespace: metricNamespace,
    MetricName: alarm.metric,
    Dimensions: dimensionSets[dimensionSetOf(alarm)].map(name => {
      return { Name: name, Value: values[name] }
    }),
    Statistic: alarm.statistic,
    Period: periodS,
    EvaluationPeriods: Math.min(alarm.minutes, periodsMax),
    Threshold: alarm.threshold,
    ComparisonOperator: alarm.when === 'above' ? 'GreaterThanThreshold' : 'LessThanThreshold',
    TreatMissingData: alarm.missing,
  }
}
