// Owns the alarms on what AWS itself measures: the failures, throttles and durations of the
// functions, runaway invocations, the queue of failed invocations, and its event bus. A function
// that dies (out of memory, a time-out, an image that does not start) emits no metric of its own,
// so the alarms of alarms.ts do not see it. `node infra/generate-monitoring.ts` writes them to
// infra/function-alarms.yml. Does not own the runbook (docs/OPERATING.md).

import { alertTopicId, type Resource } from './alarms.ts'

export const functionNames = ['plan', 'watch', 'sync', 'replicate'] as const
type FunctionName = (typeof functionNames)[number]

/** A metric of AWS, and the only resource that it is about. */
type Measured =
  | {
      readonly namespace: 'AWS/Lambda'
      readonly metric: 'Errors' | 'Throttles' | 'Invocations' | 'DestinationDeliveryFailures'
      readonly of: FunctionName
    }
  /** The longest duration in percent of the time-out, which is a parameter of the stage. */
  | { readonly namespace: 'AWS/Lambda'; readonly metric: 'Duration'; readonly of: FunctionName }
  | { readonly namespace: 'AWS/SQS'; readonly metric: 'ApproximateNumberOfMessagesVisible' }
  /** The rule that sends the record of a failed worker to the queue and to `plan`. */
  | { readonly namespace: 'AWS/Events'; readonly metric: 'FailedInvocations' }

export type FunctionAlarm = Measured & {
  /** The name of the alarm is `gapless-<stage>-<id>`. */
  readonly id: string
  /** The heading in docs/OPERATING.md. */
  readonly runbook: string
  /** A number, or the parameter of the stage that has it. */
  readonly threshold: number | string
  /** The alarm goes off after `minutes` of the last `ofMinutes` minutes. */
  readonly minutes: number
  readonly ofMinutes: number
  readonly means: string
  readonly run: string
}

/**
 * Lambda dates its metrics by the start of an invocation and emits them at its end, so the window
 * is longer than the longest invocation: an alarm that looks only at the last minutes would never
 * see a worker that ran into its time-out of a quarter of an hour.
 */
const windowMinutes: Readonly<Record<FunctionName, number>> = {
  plan: 5,
  watch: 5,
  sync: 5,
  replicate: 20,
}

const timeoutS: Readonly<Record<FunctionName, string>> = {
  plan: `\${param:planTimeoutS}`,
  watch: '120',
  sync: '120',
  replicate: `\${param:replicateTimeoutS}`,
}

/**
 * In percent of the time-out. A worker ends by itself within its reserve, up to 99.7 % of a quarter
 * of an hour; `plan`, `watch` and `sync` take seconds.
 */
const longPercent: Readonly<Record<FunctionName, number>> = {
  plan: 90,
  watch: 90,
  sync: 90,
  replicate: 99.8,
}

const lambda = 'AWS/Lambda'

export const functionAlarms: readonly FunctionAlarm[] = [
  ...functionNames.flatMap((of): FunctionAlarm[] => {
    const window = { of, namespace: lambda, ofMinutes: windowMinutes[of] } as const
    return [
      {
        ...window,
        id: `${of}-errors`,
        runbook: 'function-errors',
        metric: 'Errors',
        threshold: 0,
        // One may be a leader election; the same again in the next tick is not.
        minutes: 2,
        means: `Invocations of ${of} fail in two minutes: out of memory, a time-out, a start that fails, or partitions that need attention.`,
        run: `aws logs tail /aws/lambda/gapless-STAGE-${of}; gapless status`,
      },
      {
        ...window,
        id: `${of}-throttles`,
        runbook: 'function-throttles',
        metric: 'Throttles',
        threshold: 0,
        minutes: 3,
        means: `Lambda refuses to start ${of}: its concurrency, or that of the account, is used up.`,
        run: 'gapless status; raise replicateConcurrency, or lower workersMax',
      },
      {
        ...window,
        id: `${of}-duration`,
        runbook: 'function-duration',
        metric: 'Duration',
        threshold: longPercent[of],
        minutes: 1,
        means: `An invocation of ${of} took more than ${longPercent[of]} % of its time-out; Lambda ends it there, whatever it does.`,
        run: `aws logs tail /aws/lambda/gapless-STAGE-${of}; gapless status`,
      },
    ]
  }),
  {
    id: 'replicate-invocations',
    runbook: 'replicate-invocations',
    namespace: lambda,
    metric: 'Invocations',
    of: 'replicate',
    threshold: `\${param:replicateConcurrency}`,
    minutes: 3,
    ofMinutes: 5,
    means:
      'replicate is invoked more often in a minute than replicateConcurrency: a runaway loop. ' +
      'Lambda does not end it, because the hand-over needs RecursiveLoop: Allow.',
    run: 'aws lambda put-function-concurrency --function-name gapless-STAGE-replicate --reserved-concurrent-executions 0; read its log',
  },
  {
    id: 'failures-undelivered',
    runbook: 'failures-undelivered',
    namespace: lambda,
    metric: 'DestinationDeliveryFailures',
    of: 'replicate',
    threshold: 0,
    minutes: 1,
    ofMinutes: windowMinutes.replicate,
    means:
      'Lambda could not put the record of a failed worker on the event bus: no entry in the queue, and plan was not told.',
    run: 'aws events describe-event-bus --name gapless-STAGE-failures; the role of replicate (events:PutEvents), the policy of its key',
  },
  {
    id: 'failures-unrouted',
    runbook: 'failures-undelivered',
    namespace: 'AWS/Events',
    metric: 'FailedInvocations',
    threshold: 0,
    minutes: 1,
    ofMinutes: 5,
    means:
      'EventBridge could not deliver the record of a failed worker to the queue or to plan: nobody reads of the failure, or the next tick replaces the worker.',
    run: 'aws events list-targets-by-rule --event-bus-name gapless-STAGE-failures --rule gapless-STAGE-failed-worker; the policy of queue and key',
  },
  {
    id: 'failures-queue',
    runbook: 'failures-queue',
    namespace: 'AWS/SQS',
    metric: 'ApproximateNumberOfMessagesVisible',
    threshold: 0,
    minutes: 1,
    ofMinutes: 1,
    means:
      'The queue of failed invocations has entries that nobody has read and deleted: an invocation failed, could not start, or could not be delivered.',
    run: 'aws sqs receive-message (docs/DEPLOY.md); gapless status; aws sqs purge-queue once they are read',
  },
]

/** CloudFormation resources: one alarm each, that tells the alert topic. */
export function functionAlarmResources({ stage }: { readonly stage: string }) {
  const told = [{ Ref: alertTopicId }]
  const resources = functionAlarms.map((alarm): readonly [string, Resource] => [
    logicalId(alarm),
    {
      Type: 'AWS::CloudWatch::Alarm',
      Properties: {
        AlarmName: `gapless-${stage}-${alarm.id}`,
        AlarmDescription: `${alarm.means} Run: ${alarm.run.replaceAll('STAGE', stage)}. Runbook: docs/OPERATING.md, "${alarm.runbook}".`,
        ...measurementOf(alarm, stage),
        EvaluationPeriods: alarm.ofMinutes,
        DatapointsToAlarm: alarm.minutes,
        Threshold: alarm.threshold,
        ComparisonOperator: 'GreaterThanThreshold',
        // A minute without an invocation has no value.
        TreatMissingData: 'notBreaching',
        AlarmActions: told,
        OKActions: told,
      },
    },
  ])
  return Object.fromEntries(resources)
}

function measurementOf(alarm: FunctionAlarm, stage: string): Record<string, unknown> {
  const Period = 60
  if (alarm.namespace === 'AWS/SQS') {
    const queue = { 'Fn::GetAtt': ['FailuresQueue', 'QueueName'] }
    return {
      Namespace: alarm.namespace,
      MetricName: alarm.metric,
      Dimensions: [{ Name: 'QueueName', Value: queue }],
      Statistic: 'Maximum',
      Period,
    }
  }
  if (alarm.namespace === 'AWS/Events') {
    return {
      Namespace: alarm.namespace,
      MetricName: alarm.metric,
      Dimensions: [
        { Name: 'EventBusName', Value: { Ref: 'FailuresBus' } },
        { Name: 'RuleName', Value: `gapless-${stage}-failed-worker` },
      ],
      Statistic: 'Sum',
      Period,
    }
  }
  const metric = {
    Namespace: alarm.namespace,
    MetricName: alarm.metric,
    Dimensions: [
      { Name: 'FunctionName', Value: { Ref: `${capitalized(alarm.of)}LambdaFunction` } },
    ],
  }
  if (alarm.metric !== 'Duration') return { ...metric, Statistic: 'Sum', Period }
  return {
    Metrics: [
      // Milliseconds by seconds, times ten, are percent.
      { Id: 'percent', Expression: `longest / (10 * ${timeoutS[alarm.of]})`, Label: 'percent' },
      {
        Id: 'longest',
        MetricStat: { Metric: metric, Period, Stat: 'Maximum' },
        ReturnData: false,
      },
    ],
  }
}

function logicalId({ id }: FunctionAlarm): string {
  return `${id.split('-').map(capitalized).join('')}Alarm`
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
