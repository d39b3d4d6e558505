// The metric values of a tick of sync about heartbeats: absent where none has arrived.

import { expect, test } from 'vitest'
import type { HeartbeatPath } from '../../../../lib/run/follow/beat.ts'
import type { Followed } from '../../../../lib/run/follow/follow-source.ts'
import { syncMetrics } from '../../../../lib/run/sync/sync-metrics.ts'

const groups = { groups: 0, groupsUnsynced: 0, lagRecords: 0n, lines: [] }

function followed(paths: readonly HeartbeatPath[], latencyMs: number | null): Followed {
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
    heartbeat: { writtenAtMs: null, notWritten: null, latencyMs, paths, unknown: [] },
  }
}

const path = (isOwn: boolean, ageMs: number | null): HeartbeatPath => {
  return { isOwn, clusters: ['primary'], newestAtMs: ageMs === null ? null : 1, ageMs }
}

const metricsOf = (each: Followed | null) =>
  syncMetrics({ name: 'flow', groups, followed: each, unobserved: [] })

test('the age is that of the heartbeats of this flow, in seconds, and the latency in ms', () => {
  const two = followed([path(false, 90_000), path(true, 1_500)], 42)
  expect(metricsOf(two)).toMatchObject({ HeartbeatAge: 1.5, HeartbeatLatency: 42 })
})

test('where no heartbeat has arrived, neither value is sent', () => {
  for (const each of [null, followed([], null), followed([path(true, null)], null)]) {
    expect(Object.keys(metricsOf(each))).not.toContain('HeartbeatAge')
    expect(Object.keys(metricsOf(each))).not.toContain('HeartbeatLatency')
  }
})
