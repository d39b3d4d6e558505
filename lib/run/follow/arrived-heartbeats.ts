// Owns the heartbeats that have arrived on the standby, by the clusters that they came through: how
// old the newest one is, and how long the last one took. In a chain of clusters the flow into the
// last one carries on the heartbeats of all clusters before its source, and each way is told apart.
// Does not own their form (core/sync/heartbeat.ts) nor the names of their topics
// (core/config/heartbeat-topic.ts).
//
// The age is by the clock of sync against the time in the record, which sync wrote: one clock where
// one deployment has both flows. The latency is by the clock of the copying run against that time.

import type { FlowConfig } from '../../core/config/config.ts'
import {
  heartbeatFetchesMax,
  heartbeatPathsMax,
  heartbeatsReadMax,
} from '../../core/config/defaults.ts'
import { heartbeatPath, heartbeatTopic } from '../../core/config/heartbeat-topic.ts'
import { selects, sourceTopicName } from '../../core/config/topic-selection.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import type { ListedCheckpoints } from '../../core/row/checkpoint.ts'
import { decodeHeartbeat, type Heartbeat, newestHeartbeat } from '../../core/sync/heartbeat.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { readRecordBody } from '../../kafka/record.ts'
import { isControlBatch } from '../../kafka/record-batch.ts'
import { openInSlices } from '../../kafka/repack.ts'
import { createLogReader, readBatches } from '../compare/partition-reader.ts'
import { doInSlices, pauseForATurn } from '../in-slices.ts'
import { describe, observeLogs, pointOf } from '../observe/logs.ts'

export type ArrivedDeps = {
  readonly target: Cluster
  readonly checkpoints: Pick<CheckpointStore, 'list'>
  readonly clock: Clock
}

/** Heartbeats that arrived on the standby by one way. */
export type HeartbeatPath = {
  /**
   * `own`: this flow writes them itself. `carried`: it copies them from its source, where they came
   * from further clusters. `other`: another flow copies them.
   */
  readonly by: 'own' | 'carried' | 'other'
  /** The clusters they came through, the nearest first; their number is that of the hops. */
  readonly clusters: readonly string[]
  /** The time in the newest one, Unix time, ms; null: none was found. */
  readonly newestAtMs: number | null
  /** How long ago that is, ms: the standby has what the first cluster of the way had then. */
  readonly ageMs: number | null
  /**
   * From the time in the last copied one to its acknowledgement by the standby, over all hops, ms;
   * null: not known.
   */
  readonly latencyMs: number | null
}

export type Arrived = {
  /** The way of this flow first, then those that it carries on. */
  readonly paths: readonly HeartbeatPath[]
  readonly unknown: readonly string[]
}

type Way = Pick<HeartbeatPath, 'by' | 'clusters'> & {
  readonly targetTopic: string
  /** The topic of the source of which it is a copy; null: this flow copies it from none. */
  readonly topic: string | null
}

/** Never throws when the standby does not answer; throws when the table does not. */
export async function arrivedHeartbeats(deps: ArrivedDeps, flow: FlowConfig): Promise<Arrived> {
  const { target, checkpoints, clock } = deps
  const topics = await describe(target, null)
  if ('kind' in topics) return { paths: [], unknown: [`${flow.to}: ${topics.detail}`] }
  const existing = [...topics.values()].filter(({ kind }) => kind === 'exists')
  const ways = waysTo(
    flow,
    existing.map(each => each.name),
  )
  const listed = ways.some(each => each.topic !== null) ? await checkpoints.list(flow.name) : null
  const unknown = ways.length > heartbeatPathsMax ? [leftOutText(flow, ways)] : []
  const paths: HeartbeatPath[] = []
  for (const way of ways.slice(0, heartbeatPathsMax)) {
    const { targetTopic, topic, ...path } = way
    const read = await readSafely({ cluster: target, clock }, targetTopic, flow)
    if (typeof read === 'string') {
      unknown.push(`${flow.to}: the heartbeats of ${targetTopic} are not known: ${read}`)
      continue
    }
    const ofFlow = path.by === 'own' ? { source: flow.from, target: flow.to } : null
    const newestAtMs = newestHeartbeat(read, ofFlow)?.atMs ?? null
    const ageMs = newestAtMs === null ? null : Math.max(0, clock.nowMs() - newestAtMs)
    paths.push({ ...path, newestAtMs, ageMs, latencyMs: latencyOf(listed, topic) })
  }
  return { paths, unknown }
}

/** The topics of heartbeats on the standby: those of this flow first, the shortest way first. */
function waysTo(flow: FlowConfig, names: readonly string[]): Way[] {
  const clusters = flow.clusters ?? [flow.from, flow.to]
  const order = ['own', 'carried', 'other']
  return names
    .flatMap((targetTopic): Way[] => {
      const path = heartbeatPath(targetTopic, clusters) ?? []
      if (path.length === 0) return []
      const topic = sourceTopicName(flow, targetTopic)
      if (topic === null || !selects(flow, topic)) {
        return [{ by: 'other', clusters: path, targetTopic, topic: null }]
      }
      const by = topic === heartbeatTopic ? 'own' : 'carried'
      return [{ by, clusters: path, targetTopic, topic }]
    })
    .sort(
      (left, right) =>
        order.indexOf(left.by) - order.indexOf(right.by) ||
        left.clusters.length - right.clusters.length ||
        left.targetTopic.localeCompare(right.targetTopic),
    )
}

function leftOutText({ to }: FlowConfig, ways: readonly Way[]): string {
  const left = ways.slice(heartbeatPathsMax)
  return (
    `${to} has ${ways.length} topics of heartbeats, and ${heartbeatPathsMax} are read; ` +
    `${left.length} are left out, the first of them ${left[0]?.targetTopic}`
  )
}

function latencyOf(listed: ListedCheckpoints | null, topic: string | null): number | null {
  const row = listed?.checkpoints.find(each => each.topic === topic && each.partition === 0)
  return row === undefined ? null : (positionOf(row.state)?.lastLatencyMs ?? null)
}

async function readSafely(
  at: Parameters<typeof lastHeartbeats>[0],
  topic: string,
  { budgets }: FlowConfig,
): ReturnType<typeof lastHeartbeats> {
  try {
    return await lastHeartbeats(at, topic, budgets.requestTimeoutMs)
  } catch (error) {
    // A record there that is damaged is no failure of the flow.
    if (!(error instanceof BrokerFailure) && !(error instanceof DecodeError)) throw error
    return error.message
  }
}

const fetchBytesMax = 256 * 1024

/**
 * The heartbeats among the last `heartbeatsReadMax` offsets of partition 0, where all of them are
 * written. A text: why they are not known. Throws `BrokerFailure` when the log cannot be read.
 */
async function lastHeartbeats(
  { cluster, clock }: { readonly cluster: Cluster; readonly clock: Clock },
  topic: string,
  requestTimeoutMs: number,
): Promise<Heartbeat[] | string> {
  const at = { topic, partition: 0 }
  const view = (await observeLogs(cluster, [at], ['log-start', 'log-end'])).of(at)
  if (view.kind === 'missing') return []
  if (view.kind === 'unobserved') return view.detail
  const [start, end] = [pointOf(view, 'log-start'), pointOf(view, 'log-end')]
  const wanted = end - BigInt(heartbeatsReadMax)
  const from = wanted > start ? wanted : start
  const log = { ...at, ...view, cluster, clock, fetchBytesMax, requestTimeoutMs }
  const range = { from, to: end, isolation: 'read-uncommitted' as const, waitMs: 0 }
  const reader = createLogReader(
    log,
    { ...range, mayBeOutOfRange: true, fetchesMax: heartbeatFetchesMax },
    readBatches,
  )
  const found: Heartbeat[] = []
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    for (const batch of part.batches) {
      if (isControlBatch(batch) || batch.recordsCount === 0) continue
      const opened = await doInSlices(openInSlices(batch), pauseForATurn)
      for (let each = opened.current(); each !== null; each = opened.current()) {
        const { key, value } = readRecordBody(each.body)
        const heartbeat = decodeHeartbeat(key, value)
        if (heartbeat !== null) found.push(heartbeat)
        opened.advance()
      }
    }
  }
  return found
}
