// The alarms on what AWS measures of the functions. A function that dies emits no metric of its
// own, so each way of dying is played here against the alarms.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type FunctionAlarm,
  functionAlarmResources,
  functionAlarms,
  functionNames,
} from '../../../infra/function-alarms.ts'

const root = join(import.meta.dirname, '../../..')

/** A value of a minute, and the minute in which CloudWatch first has it. */
type Datapoint = { readonly minute: number; readonly emitted: number; readonly value: number }

type Deployed = {
  readonly Period?: number
  readonly Statistic?: string
  readonly Namespace?: string
  readonly MetricName?: string
  readonly Dimensions?: unknown
  readonly Metrics?: readonly {
    readonly Id: string
    readonly Expression?: string
    readonly ReturnData?: boolean
    readonly MetricStat?: {
      readonly Metric: Deployed
      readonly Period: number
      readonly Stat: string
    }
  }[]
  readonly EvaluationPeriods: number
  readonly DatapointsToAlarm: number
  readonly Threshold: number | string
  readonly ComparisonOperator: string
}

const deployed = functionAlarmResources({ stage: 'prod' })

/** What CloudFormation makes of an alarm. */
function deployedAs({ id }: FunctionAlarm): Deployed {
  const names = id.split('-').map(each => each.charAt(0).toUpperCase() + each.slice(1))
  return deployed[`${names.join('')}Alarm`]?.Properties as Deployed
}

/** The first minute in which the alarm is in ALARM, as CloudWatch counts it; null: never. */
function alarmedAt(alarm: FunctionAlarm, points: readonly Datapoint[]): number | null {
  const { EvaluationPeriods, DatapointsToAlarm, Threshold, ComparisonOperator } = deployedAs(alarm)
  expect(ComparisonOperator).toBe('GreaterThanThreshold')
  for (let now = 0; now < 120; now += 1) {
    const breaching = points.filter(
      ({ minute, emitted, value }) =>
        emitted <= now && minute > now - EvaluationPeriods && value > Number(Threshold),
    )
    if (breaching.length >= DatapointsToAlarm) return now
  }
  return null
}

function alarmOn(metric: FunctionAlarm['metric'], of?: string): FunctionAlarm {
  const found = functionAlarms.find(
    each => each.metric === metric && (of === undefined || ('of' in each && each.of === of)),
  )
  if (found === undefined) throw new Error(`no alarm on ${metric} of ${of}`)
  return found
}

const failures = (minutes: readonly number[], tookMinutes = 0): Datapoint[] =>
  minutes.map(minute => ({ minute, emitted: minute + tookMinutes, value: 1 }))

describe('a function that dies', () => {
  test.each(functionNames)('%s that runs out of memory on every tick is told on the second', of => {
    expect(alarmedAt(alarmOn('Errors', of), failures([0, 1, 2, 3]))).toBe(1)
  })

  test('a worker that dies on every second tick, because its lease must expire in between, is told', () => {
    expect(alarmedAt(alarmOn('Errors', 'replicate'), failures([0, 2, 4]))).toBe(2)
  })

  test('a worker that is ended by its time-out is told, though Lambda dates that a quarter of an hour back', () => {
    const timedOut = failures([0], 15).map(each => ({ ...each, value: 100 }))
    expect(alarmedAt(alarmOn('Duration', 'replicate'), timedOut)).toBe(15)
    expect(alarmedAt(alarmOn('Errors', 'replicate'), failures([0, 1], 15))).toBe(16)
  })

  test('a worker that ends within its reserve, as intended, is not told', () => {
    const orderly = failures([0, 15, 30], 15).map(each => ({ ...each, value: 99.7 }))
    expect(alarmedAt(alarmOn('Duration', 'replicate'), orderly)).toBeNull()
  })

  test.each(functionNames)(
    'one failed invocation of %s, a leader election for instance, is not told',
    of => {
      expect(alarmedAt(alarmOn('Errors', of), failures([0]))).toBeNull()
    },
  )

  test.each(functionNames)('%s that Lambda refuses to start is told within three minutes', of => {
    expect(alarmedAt(alarmOn('Throttles', of), failures([0, 1, 2]))).toBe(2)
  })

  test('an entry in the queue of failed invocations is told at once', () => {
    const queue = alarmOn('ApproximateNumberOfMessagesVisible')
    expect(alarmedAt(queue, failures([0]))).toBe(0)
  })
})

describe('the alarms on functions', () => {
  const resources = Object.values(functionAlarmResources({ stage: 'prod' }))

  test('every alarm on a function has a heading in the runbook and names its command', () => {
    const runbook = readFileSync(join(root, 'docs/OPERATING.md'), 'utf8')
    for (const { runbook: heading } of functionAlarms)
      expect(runbook).toContain(`\n### ${heading}\n`)
    for (const { Properties } of resources) {
      expect(String(Properties?.AlarmDescription)).toMatch(
        / Run: .+ Runbook: docs\/OPERATING\.md, "/,
      )
      expect(String(Properties?.AlarmDescription).length).toBeLessThan(1024)
    }
  })

  test('every alarm on a function tells the alert topic when it begins and when it ends', () => {
    expect(resources).toHaveLength(functionAlarms.length)
    for (const { Properties } of resources) {
      expect(Properties).toMatchObject({
        AlarmActions: [{ Ref: 'AlertTopic' }],
        OKActions: [{ Ref: 'AlertTopic' }],
        TreatMissingData: 'notBreaching',
      })
    }
  })

  test('every alarm looks at one metric of AWS, of its own function, of the queue or of its event bus, minute by minute', () => {
    const looks = functionAlarms.map(alarm => {
      const { Metrics, ...plain } = deployedAs(alarm)
      const longest = Metrics?.find(each => each.ReturnData === false)?.MetricStat
      const { Namespace, MetricName, Dimensions } = longest?.Metric ?? plain
      const statistic = longest?.Stat ?? plain.Statistic
      const period = longest?.Period ?? plain.Period
      return [alarm.id, Namespace, MetricName, Dimensions, statistic, period]
    })
    const about = (id: string) => [{ Name: 'FunctionName', Value: { Ref: `${id}LambdaFunction` } }]
    const ids = { plan: 'Plan', watch: 'Watch', sync: 'Sync', replicate: 'Replicate' }
    const ofFunctions = Object.entries(ids).flatMap(([name, id]) => [
      [`${name}-errors`, 'AWS/Lambda', 'Errors', about(id), 'Sum', 60],
      [`${name}-throttles`, 'AWS/Lambda', 'Throttles', about(id), 'Sum', 60],
      [`${name}-duration`, 'AWS/Lambda', 'Duration', about(id), 'Maximum', 60],
    ])
    const queue = [{ Name: 'QueueName', Value: { 'Fn::GetAtt': ['FailuresQueue', 'QueueName'] } }]
    const undelivered = ['AWS/Lambda', 'DestinationDeliveryFailures', about('Replicate')]
    // A rule of another bus than the default one has both dimensions.
    const rule = [
      { Name: 'EventBusName', Value: { Ref: 'FailuresBus' } },
      { Name: 'RuleName', Value: 'gapless-prod-failed-worker' },
    ]
    expect(looks).toEqual([
      ...ofFunctions,
      ['replicate-invocations', 'AWS/Lambda', 'Invocations', about('Replicate'), 'Sum', 60],
      ['failures-undelivered', ...undelivered, 'Sum', 60],
      ['failures-unrouted', 'AWS/Events', 'FailedInvocations', rule, 'Sum', 60],
      ['failures-queue', 'AWS/SQS', 'ApproximateNumberOfMessagesVisible', queue, 'Maximum', 60],
    ])
  })

  test('a runaway loop is more invocations in a minute than the concurrency that the stage may use', () => {
    expect(deployedAs(alarmOn('Invocations', 'replicate'))).toMatchObject({
      ...{
        Threshold: `\${param:replicateConcurrency}`,
        ComparisonOperator: 'GreaterThanThreshold',
      },
      ...{ EvaluationPeriods: 5, DatapointsToAlarm: 3 },
    })
  })

  test('a duration is compared with the time-out that its function is deployed with', () => {
    const functions = readFileSync(join(root, 'infra/functions.yml'), 'utf8')
    const timeouts = [...functions.matchAll(/^ {2}timeout: (.+)$/gm)].map(([, value]) => value)
    const expressions = functionNames.map(of => {
      const id = `${of.charAt(0).toUpperCase()}${of.slice(1)}DurationAlarm`
      const { Metrics } = functionAlarmResources({ stage: 'prod' })[id]?.Properties ?? {}
      return (Metrics as { Expression?: string }[])[0]?.Expression
    })
    expect(expressions).toEqual(timeouts.map(value => `longest / (10 * ${value})`))
  })
})
