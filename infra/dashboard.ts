// Owns the dashboard: one page that shows data at risk, lag, throughput and failures, drawn from
// the list of metrics (lib/core/monitoring/metric.ts). `node infra/generate-monitoring.ts` writes
// it to infra/dashboard.yml.

import {
  type DimensionSet,
  dimensionSets,
  type MetricName,
  metricNamespace,
  metricService,
} from '../lib/core/monitoring/metric.ts'
import { alarmArn, alarmName, alarms, type Resource } from './alarms.ts'
import { functionAlarms } from './function-alarms.ts'

type Line = { readonly metric: MetricName; readonly statistic: string; readonly set?: DimensionSet }
type Graph = { readonly title: string; readonly lines: readonly Line[] }

const sumOf = (metric: MetricName): Line => ({ metric, statistic: 'Sum' })
const maxOf = (metric: MetricName): Line => ({ metric, statistic: 'Maximum' })

/** Every metric of the list is in a graph, which a test checks. */
export const graphs: readonly Graph[] = [
  {
    title:
      'Seconds until retention may delete records that are not replicated, by flow and lagging topic',
    lines: [
      { metric: 'TruncationHeadroomSeconds', statistic: 'Minimum', set: 'flow' },
      { metric: 'TruncationHeadroomSeconds', statistic: 'Minimum', set: 'topic' },
    ],
  },
  {
    title: 'Age of the oldest record that is not replicated, by flow and lagging topic',
    lines: [
      { metric: 'LagSeconds', statistic: 'Maximum', set: 'flow' },
      { metric: 'LagSeconds', statistic: 'Maximum', set: 'topic' },
    ],
  },
  { title: 'Lag in offsets, by flow', lines: [{ ...maxOf('LagRecords'), set: 'flow' }] },
  {
    title: 'Truncations, resets, divergences and records lost',
    lines: [
      sumOf('TruncationsDetected'),
      sumOf('RecordsLost'),
      sumOf('TopicResetsDetected'),
      sumOf('DivergencesDetected'),
    ],
  },
  {
    title: 'Offsets filled on the standby, and shifts of offsets that are kept',
    lines: [sumOf('PlacesFilled'), sumOf('OffsetShifts')],
  },
  {
    title: 'Offsets that one partition fills in a second of filling',
    lines: [{ metric: 'FillerRate', statistic: 'Minimum' }],
  },
  {
    title: 'Waiting for an operator',
    lines: [
      maxOf('HaltedPartitions'),
      maxOf('OpenIncidents'),
      maxOf('UnobservedPartitions'),
      maxOf('UnnoticedDifferences'),
      maxOf('StalledPartitions'),
      maxOf('LossyStandbySettings'),
      maxOf('HungTransactions'),
      maxOf('FailoverUnattendedSeconds'),
    ],
  },
  {
    title: 'Consumer groups: not synced, and records that one would read again, by flow',
    lines: [
      { ...maxOf('GroupsUnsynced'), set: 'flow' },
      { ...maxOf('GroupLagRecords'), set: 'flow' },
    ],
  },
  {
    title:
      'Heartbeats, by flow and the clusters that they came through: age of the newest one (s), latency (ms)',
    lines: [
      { ...maxOf('HeartbeatAge'), set: 'path' },
      { ...maxOf('HeartbeatLatency'), set: 'path' },
    ],
  },
  {
    title:
      'Which cluster applications use: 0 active, 1 failing over, 2 failed over, 3 failing back',
    lines: [{ ...maxOf('FailoverState'), set: 'flow' }],
  },
  { title: 'Records replicated, by flow', lines: [{ ...sumOf('RecordsReplicated'), set: 'flow' }] },
  { title: 'Bytes replicated, by flow', lines: [{ ...sumOf('BytesReplicated'), set: 'flow' }] },
  {
    title: 'Latency of batches and recovery from resets, ms',
    lines: [
      { metric: 'ReplicationLatency', statistic: 'p50' },
      { metric: 'ReplicationLatency', statistic: 'p99' },
      maxOf('RecoveryTime'),
    ],
  },
  {
    title: 'Heartbeats and errors',
    lines: [{ ...sumOf('Heartbeat'), set: 'function' }, sumOf('Errors')],
  },
]

const WIDTH = 8
const COLUMNS = 3
const HEIGHT = 6

/** CloudFormation resources; `stage` may be a variable of serverless.yml. */
export function dashboardResources({
  stage,
}: {
  readonly stage: string
}): Record<string, Resource> {
  const widgets = [
    {
      ...{ type: 'alarm', x: 0, y: 0, width: WIDTH * COLUMNS, height: 4 },
      properties: {
        title: `gapless ${stage}`,
        alarms: [
          ...[...alarms, ...functionAlarms].map(each => alarmName(each, stage)),
          `gapless-${stage}-data-at-risk`,
        ].map(alarmArn),
      },
    },
    ...graphs.map(({ title, lines }, index) => ({
      type: 'metric',
      x: (index % COLUMNS) * WIDTH,
      y: 4 + Math.floor(index / COLUMNS) * HEIGHT,
      ...{ width: WIDTH, height: HEIGHT },
      properties: {
        title,
        region: `\${AWS::Region}`,
        period: 60,
        view: 'timeSeries',
        metrics: lines.map(line => drawn(line, stage)),
      },
    })),
  ]
  return {
    Dashboard: {
      Type: 'AWS::CloudWatch::Dashboard',
      Properties: {
        DashboardName: `gapless-${stage}`,
        DashboardBody: { 'Fn::Sub': JSON.stringify({ widgets }, null, 1) },
      },
    },
  }
}

/** One line for the whole stage, or a search that draws one for each flow, topic or function. */
function drawn({ metric, statistic, set = 'stage' }: Line, stage: string): unknown[] {
  if (set === 'stage') {
    const dimensions = ['service', metricService, 'stage', stage]
    return [
      metricNamespace,
      metric,
      ...dimensions,
      { stat: statistic, label: `${metric} ${statistic}` },
    ]
  }
  const schema = [metricNamespace, ...dimensionSets[set]].join(',')
  const filter = `{${schema}} MetricName="${metric}" stage="${stage}"`
  return [{ expression: `SEARCH('${filter}', '${statistic}', 60)`, label: '' }]
}
