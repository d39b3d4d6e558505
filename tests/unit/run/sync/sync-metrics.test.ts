// The metric values of a tick of sync about heartbeats: those of the flow, and those of each way
// that it carries on from further clusters; absent where none has arrived.

import { expect, test } from 'vitest'
import type { HeartbeatPath } from '../../../../lib/run/follow/arrived-heartbeats.ts'
import type { Followed } from '../../../../lib/run/follow/follow-source.ts'
import { pathMetrics, syncMetrics } from '../../../../lib/run/sync/sync-metrics.ts'

const groups = { groups: 0, groupsUnsynced: 0, lagRecords: 0n, lines: [] }

function followed(paths: readonly HeartbeatPath[]): Followed {
  return {
    topics: {
      topics: 0,
      configs: { changed: [], differing: [], refused: [], unknown: [] },
      deletions: [],
      failures: [],
    },
    acls: {
      ...{ created: [], removed: [], missing: [], withheld: [], left: [], refused: [] },
      ...{ notCopied: [], unknown: [] },
    },
    heartbeat: { writtenAtMs: null, notWritten: null, paths, unknown: [] },
  }
}

const unseen = { by: 'own', newestAtMs: null, ageMs: null, latencyMs: null } as const
const own: HeartbeatPath = { ...unseen, clusters: ['standby'], ageMs: 1_500, latencyMs: 42 }
const carried: HeartbeatPath = {
  ...{ by: 'carried', clusters: ['standby', 'primary'], newestAtMs: 1 },
  ...{ ageMs: 90_000, latencyMs: 61_000 },
}
const other: HeartbeatPath = { ...carried, by: 'other', clusters: ['elsewhere'] }

const metricsOf = (each: Followed | null) =>
  syncMetrics({ name: 'flow', groups, followed: each, unobserved: [] })

test('the age of a flow is that of its own heartbeats, in seconds, and the latency in ms', () => {
  const three = followed([carried, other, own])
  expect(metricsOf(three)).toMatchObject({ HeartbeatAge: 1.5, HeartbeatLatency: 42 })
})

test('each way that a flow carries on has values of its own, and a way of another flow has none here', () => {
  expect(pathMetrics({ followed: followed([own, carried, other]) })).toEqual([
    { path: 'standby', values: { HeartbeatAge: 1.5, HeartbeatLatency: 42 } },
    { path: 'standby.primary', values: { HeartbeatAge: 90, HeartbeatLatency: 61_000 } },
  ])
  expect(pathMetrics({ followed: null })).toEqual([])
})

test('where no heartbeat has arrived, neither value is sent', () => {
  const none = { ...unseen, clusters: ['standby'] }
  for (const each of [null, followed([]), followed([none]), followed([carried])]) {
    expect(Object.keys(metricsOf(each))).not.toContain('HeartbeatAge')
    expect(Object.keys(metricsOf(each))).not.toContain('HeartbeatLatency')
  }
  expect(pathMetrics({ followed: followed([none]) })).toEqual([{ path: 'standby', values: {} }])
})
