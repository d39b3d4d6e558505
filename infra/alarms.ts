// Owns the alarms: which metric under which dimension set, from when on, what it means and what to
// run. `node infra/generate-monitoring.ts` writes them to infra/alarms.yml; a test fails while that
// is not up to date, and when an alarm waits for what no function emits. Does not own the metrics
// (lib/core/monitoring/metric.ts) nor the runbook (docs/OPERATING.md, one heading for each alarm).

import {
  type DimensionSet,
  dimensionSets,
  type Emitter,
  type MetricName,
  metricNamespace,
  metricService,
} from '../lib/core/monitoring/metric.ts'

export type Alarm = {
  /** Its name is `gapless-<stage>-<id>`. */
  readonly id: string
  readonly metric: MetricName
  /** Whose heartbeat; every other alarm looks at all flows of the stage together. */
  readonly of?: Emitter
  readonly statistic: 'Sum' | 'Maximum' | 'Minimum'
  readonly when: 'above' | 'below'
  readonly threshold: number
  /** So many minutes in a row. */
  readonly minutes: number
  /** What no value means; unknown is not healthy where the value itself is the sign of life. */
  readonly missing: 'breaching' | 'notBreaching'
  /** Part of the one alarm that says data are lost, or about to be. */
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
    means: 'The source deleted records before they were replicated. They are lost to the standby.',
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
      'Retention will delete records that are not replicated within 4 hours. Nothing is lost yet.',
    run: 'gapless status; lengthen retention.ms or retention.bytes of the topic on the source',
  },
  {
    id: 'reset',
    metric: 'TopicResetsDetected',
    ...lost,
    ...quiet,
    means:
      'A topic was deleted and recreated on the source. What was not replicated of it is gone.',
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
    means: 'A partition is not replicated any more until somebody decides how it goes on.',
    run: 'gapless status; gapless resume TOPIC:PARTITION',
  },
  {
    id: 'unnoticed',
    metric: 'UnnoticedDifferences',
    ...standing,
    ...quiet,
    means: 'The auditor sees a truncation, reset or divergence that replication has not noticed.',
    run: `${look}; look into the logs of plan and replicate`,
  },
  {
    id: 'stalled',
    metric: 'StalledPartitions',
    ...standing,
    ...quiet,
    means: 'There are records to copy, and for 5 minutes nobody has worked on their partition.',
    run: 'gapless status; look into the logs of plan and replicate; raise workersMax',
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
    means: 'Something of a partition cannot be observed: unknown is not healthy.',
    run: 'gapless status; the log of watch says what did not answer',
  },
  {
    id: 'open-incident',
    metric: 'OpenIncidents',
    ...standing,
    missing: 'notBreaching',
    isRisk: false,
    means: 'An incident is open: nothing has moved past it.',
    run: 'gapless incidents',
  },
  {
    id: 'errors',
    metric: 'Errors',
    ...lost,
    minutes: 3,
    missing: 'notBreaching',
    isRisk: false,
    means: 'Runs of partitions fail, or a function could not finish its work for a flow.',
    run: 'look into the logs of plan, replicate and watch',
  },
  {
    id: 'heartbeat-plan',
    metric: 'Heartbeat',
    of: 'plan',
    ...beating,
    missing: 'breaching',
    isRisk: true,
    means: 'plan does not run: nothing is replicated.',
    run: 'look into the log of plan, its schedule and its concurrency',
  },
  {
    id: 'heartbeat-watch',
    metric: 'Heartbeat',
    of: 'watch',
    ...beating,
    missing: 'breaching',
    isRisk: true,
    means: 'watch does not run: nobody audits, and no incident is told of.',
    run: 'look into the log of watch, its schedule and its concurrency',
  },
]

/** Where an alarm looks: exactly these dimensions, no more and no less. */
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
  /** Of one value, in seconds; a test takes shorter ones, */
  readonly periodS?: number
  /** and waits for fewer of them. */
  readonly periodsMax?: number
}

export const alertTopicId = 'AlertTopic'

/** CloudFormation: the topic that is told, every alarm, and the one above them. */
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
          'Data are lost, or will be, or nobody looks. One alarm for a pager; the ones below it say what, ' +
          `and tell the alert topic themselves. Run: ${look}`,
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

/** For Fn::Sub. */
export function alarmArn(name: string): string {
  return `arn:\${AWS::Partition}:cloudwatch:\${AWS::Region}:\${AWS::AccountId}:alarm:${name}`
}

export function alarmName({ id }: Alarm, stage: string): string {
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
