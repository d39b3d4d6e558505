// Compares alarms and dashboard with the list of metrics and with the metrics that the functions
// emit. An alarm on a metric or a dimension set that no function emits would never go off, and look
// healthy.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Metrics } from '@aws-lambda-powertools/metrics'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { alarmName, alarmResources, alarms, dimensionSetOf } from '../../../infra/alarms.ts'
import { graphs } from '../../../infra/dashboard.ts'
import { monitoringFiles } from '../../../infra/generate-monitoring.ts'
import {
  dimensionSets,
  type Emitter,
  type Metric,
  metricNames,
  metricNamespace,
  metricService,
  metrics,
} from '../../../lib/core/monitoring/metric.ts'
import { emfSink } from '../../../lib/io/metrics.ts'
import { nothingCopied } from '../../../lib/run/partition/partition-run.ts'
import { createRunMeter, planMetrics } from '../../../lib/run/replicate/run-metrics.ts'
import { syncMetrics } from '../../../lib/run/sync/sync-metrics.ts'
import { watchMetrics } from '../../../lib/run/watch/watch-metrics.ts'

const root = join(import.meta.dirname, '../../..')

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

/** The metrics that the sink of a function prints: name, unit, dimensions and value. */
function printed(emitter: Emitter, send: (sink: ReturnType<typeof emfSink>) => void) {
  vi.stubEnv('POWERTOOLS_DEV', 'true')
  vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'false')
  const lines: string[] = []
  vi.spyOn(console, 'log').mockImplementation(line => lines.push(String(line)))
  const powertools = new Metrics({
    namespace: metricNamespace,
    serviceName: metricService,
    defaultDimensions: { stage: 'prod' },
  })
  send(emfSink(powertools, emitter))
  return lines.flatMap(line => {
    const document = JSON.parse(line)
    const [{ Dimensions, Metrics: named, Namespace }] = document._aws.CloudWatchMetrics
    expect(Dimensions).toHaveLength(1)
    return named.map(({ Name, Unit }: { Name: string; Unit: string }) => ({
      name: Name,
      unit: Unit,
      namespace: Namespace,
      dimensions: Object.fromEntries(
        Dimensions[0].map((each: string) => [each, document[each]]),
      ) as Record<string, string>,
      value: document[Name],
    }))
  })
}

const nothingSeen = {
  ...{ flow: 'orders', partitions: [], unobserved: [], openIncidents: 0, hung: [] },
  lossySettings: [],
}

/** All metrics that plan, watch and sync print on a tick on which nothing happens. */
function quietTick() {
  return [
    ...printed('plan', sink => {
      sink.flow('orders', planMetrics({ errors: 0 }))
      sink.heartbeat()
    }),
    ...printed('watch', sink => {
      sink.flow('orders', watchMetrics(nothingSeen))
      sink.heartbeat()
    }),
    ...printed('sync', sink => {
      const groups = { groups: 0, groupsUnsynced: 0, lagRecords: 0n, lines: [] }
      sink.flow('orders', syncMetrics({ name: 'orders', groups, followed: null, unobserved: [] }))
      sink.heartbeat()
    }),
  ]
}

describe('infra', () => {
  for (const [name, text] of Object.entries(monitoringFiles)) {
    test(`infra/${name} is what \`node infra/generate-monitoring.ts\` writes`, () => {
      expect(readFileSync(join(root, 'infra', name), 'utf8')).toBe(text)
    })
  }

  test('every alarm has a heading in the runbook, and a description that says what to run', () => {
    const runbook = readFileSync(join(root, 'docs/OPERATING.md'), 'utf8')
    for (const alarm of alarms) {
      expect(runbook).toContain(`\n### ${alarm.id}\n`)
      expect(alarm.run).not.toBe('')
    }
    const resources = Object.values(alarmResources({ stage: 'prod' }))
    const descriptions = resources.map(each => String(each.Properties?.AlarmDescription ?? ''))
    expect(Math.max(...descriptions.map(each => each.length))).toBeLessThan(1024)
  })

  test('the dashboard shows every metric, under dimension sets that the metric is emitted with', () => {
    const lines = graphs.flatMap(each => each.lines)
    expect(new Set(lines.map(each => each.metric))).toEqual(new Set(metricNames))
    for (const { metric, set = 'stage' } of lines) {
      expect((metrics[metric] as Metric).sets, metric).toContain(set)
    }
  })
})

describe('every alarm', () => {
  test('every alarm waits for a metric and exact dimensions that each tick emits, also when nothing happens', () => {
    const tick = quietTick()
    const waited = Object.values(alarmResources({ stage: 'prod' })).flatMap(
      ({ Type, Properties }) => (Type === 'AWS::CloudWatch::Alarm' ? [Properties ?? {}] : []),
    )
    expect(waited).toHaveLength(alarms.length)
    for (const { MetricName, Namespace, Dimensions } of waited) {
      const named = Dimensions as readonly { Name: string; Value: string }[]
      const dimensions = Object.fromEntries(named.map(({ Name, Value }) => [Name, Value]))
      const hits = tick.filter(
        each =>
          each.name === MetricName &&
          each.namespace === Namespace &&
          JSON.stringify(Object.entries(each.dimensions).sort()) ===
            JSON.stringify(Object.entries(dimensions).sort()),
      )
      expect(hits, `${MetricName} ${JSON.stringify(dimensions)}`).not.toEqual([])
    }
  })

  test('no alarm goes off on a tick on which nothing happens', () => {
    const tick = quietTick()
    for (const alarm of alarms) {
      const set = [...dimensionSets[dimensionSetOf(alarm)]].sort()
      const values = tick.filter(
        each =>
          each.name === alarm.metric &&
          JSON.stringify(Object.keys(each.dimensions).sort()) === JSON.stringify(set) &&
          (alarm.of === undefined || each.dimensions.function === alarm.of),
      )
      for (const { value } of values) {
        const isAlarm = alarm.when === 'above' ? value > alarm.threshold : value < alarm.threshold
        expect(isAlarm, alarmName(alarm, 'prod')).toBe(false)
      }
    }
  })

  test('a missing heartbeat breaches its alarm, and no other missing metric does', () => {
    for (const { metric, missing } of alarms) {
      expect(missing).toBe(metric === 'Heartbeat' ? 'breaching' : 'notBreaching')
    }
  })
})

describe('emitted metrics', () => {
  test('every count is emitted on every tick, as 0 when nothing happened', () => {
    const zeroes = new Set(quietTick().map(each => each.name))
    // A duration is absent, and not 0, when the event that takes it did not happen.
    const times = ['ReplicationLatency', 'RecoveryTime', 'HeartbeatAge', 'HeartbeatLatency']
    const durations = [...times.slice(0, 2), 'FillerRate', ...times.slice(2)]
    expect(metricNames.filter(name => !zeroes.has(name))).toEqual(durations)
  })

  test('every emitted metric has the unit, the emitter and the dimension sets of the list, and no others', () => {
    const worker = printed('replicate', sink => {
      const meter = createRunMeter(values => sink.flow('orders', values))
      for (let latencyMs = 0; latencyMs < 1000; latencyMs += 1) meter.copied(latencyMs)
      meter.recovered(5)
      meter.end({ partitions: [], failures: [] })
      const filler = createRunMeter(values => sink.flow('orders', values))
      filler.tell([{ ...nothingCopied, placesFilled: 5, fillingMs: 10 }])
    })
    const watch = printed('watch', sink => {
      sink.topic({ flow: 'orders', topic: 'a' }, { LagRecords: 1, OpenIncidents: 1 })
    })
    const beaten = printed('sync', sink => {
      sink.flow('orders', { HeartbeatAge: 60, HeartbeatLatency: 5 })
      sink.path({ flow: 'orders', path: 'standby.primary' }, { HeartbeatAge: 90, Errors: 1 })
    })
    const sent = [
      ...beaten.map(each => ({ ...each, by: 'sync' as const })),
      ...worker.map(each => ({ ...each, by: 'replicate' as const })),
      ...watch.map(each => ({ ...each, by: 'watch' as const })),
      ...quietTick().map(each => ({ ...each, by: null })),
    ]
    const names = new Set<string>()
    for (const { name, unit, dimensions, by } of sent) {
      names.add(name)
      const metric: Metric = metrics[name as keyof typeof metrics]
      expect(unit, name).toBe(metric.unit)
      if (by !== null) expect(metric.by, name).toContain(by)
      const keys = Object.keys(dimensions).sort().join()
      expect(metric.sets.map(set => [...dimensionSets[set]].sort().join())).toContain(keys)
    }
    expect(names).toEqual(new Set(metricNames))
    expect(watch.map(each => each.name)).toEqual(['LagRecords'])
    const ofPath = beaten.filter(({ dimensions }) => 'path' in dimensions)
    expect(ofPath.map(({ name, dimensions }) => [name, dimensions.path])).toEqual([
      ['HeartbeatAge', 'standby.primary'],
    ])
  })

  test('latencies are emitted as a list of values for percentiles, in one line per dimension set', () => {
    const sent = printed('replicate', sink => {
      const meter = createRunMeter(values => sink.flow('orders', values))
      for (let latencyMs = 0; latencyMs < 10_000; latencyMs += 1) meter.copied(latencyMs)
      meter.end({ partitions: [], failures: [] })
    }).filter(each => each.name === 'ReplicationLatency')
    expect(sent.map(each => Object.keys(each.dimensions).length)).toEqual([2, 3])
    for (const { value } of sent) {
      expect(value.length).toBeGreaterThan(50)
      expect(value.length).toBeLessThan(100)
      expect(value[Math.floor(value.length / 2)]).toBeGreaterThan(4_500)
      expect(value[Math.floor(value.length / 2)]).toBeLessThan(5_500)
      expect(value.at(-1)).toBeGreaterThan(9_800)
    }
  })
})
