// Owns the heartbeat of a flow: one record a tick to the topic `heartbeats` of the source, which is
// copied as any other one, and how old the newest one on the standby is. Nothing else is ever
// written to a source; without the right to write there, a sentence says so, and the flow goes on.
// Does not own the form of the record (core/sync/heartbeat.ts).
//
// Ages are by one clock: that of sync, which wrote the heartbeat. The latency is that of the
// copying run, by the clock of `replicate` against the time in the record.

import type { FlowConfig } from '../../core/config/config.ts'
import { heartbeatPathsMax } from '../../core/config/defaults.ts'
import { heartbeatPath, heartbeatTopic } from '../../core/config/heartbeat-topic.ts'
import { selects, targetTopicName } from '../../core/config/topic-selection.ts'
import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { encodeHeartbeat, newestHeartbeat } from '../../core/sync/heartbeat.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster, TopicDescription } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { bodyOf, writeRecords } from '../../kafka/record.ts'
import { frameBatch } from '../../kafka/record-batch.ts'
import { describe, unobserved } from '../observe/logs.ts'
import { lastHeartbeats } from './last-heartbeats.ts'
import { warn } from './sync-topics.ts'

export type BeatDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: Pick<CheckpointStore, 'list'>
  readonly clock: Clock
  /** Called only when the topic is missing. */
  readonly openSourceAdmin: () => Pick<TopicAdmin, 'createTopic'>
}

/** Heartbeats that arrived on the standby by one way. */
export type HeartbeatPath = {
  /** True for the way of this flow: the heartbeats that it writes itself. */
  readonly isOwn: boolean
  /** The clusters they came through, the nearest first; their number is that of the hops. */
  readonly clusters: readonly string[]
  /** The time in the newest one, Unix time, ms; null: none was found. */
  readonly newestAtMs: number | null
  /** How long ago that is, ms: the standby has what the source had then. */
  readonly ageMs: number | null
}

export type Beat = {
  /** Null: none was written. */
  readonly writtenAtMs: number | null
  /** Why none was written; null where one was, or none is to be. */
  readonly notWritten: string | null
  /** From the time in the last copied heartbeat to its acknowledgement, ms; null: not known. */
  readonly latencyMs: number | null
  /** The way of this flow first. Empty without `sync.heartbeats`. */
  readonly paths: readonly HeartbeatPath[]
  readonly unknown: readonly string[]
}

const silent: Beat = {
  writtenAtMs: null,
  notWritten: null,
  latencyMs: null,
  paths: [],
  unknown: [],
}

/** Never throws when a cluster refuses or does not answer. */
export async function beat(deps: BeatDeps, flow: FlowConfig): Promise<Beat> {
  if (flow.sync.heartbeats === 'off') return silent
  // First what has arrived: the one that is written now cannot have.
  const arrived = await arrivedHeartbeats(deps, flow)
  const written = await writeHeartbeat(deps, flow)
  return { ...arrived, latencyMs: await latencyOf(deps, flow), ...written }
}

type Written = Pick<Beat, 'writtenAtMs' | 'notWritten'>

async function writeHeartbeat(deps: BeatDeps, flow: FlowConfig): Promise<Written> {
  const notWritten = (why: string): Written => ({
    writtenAtMs: null,
    notWritten: `no heartbeat was written to ${flow.from}: ${why}`,
  })
  try {
    const topic = await describedOrCreated(deps)
    if (topic.kind !== 'exists') return notWritten(whyNot(topic))
    const leaderId = topic.partitions[0]?.leaderId ?? null
    if (leaderId === null) return notWritten(`partition 0 of ${heartbeatTopic} has no leader`)
    const atMs = deps.clock.nowMs()
    const { partitions } = await deps.source.produce(leaderId, {
      acks: -1,
      timeoutMs: flow.budgets.requestTimeoutMs,
      topics: [
        {
          name: heartbeatTopic,
          partitions: [{ partition: 0, records: batchOf(flow, atMs) }],
        },
      ],
    })
    const error = errorName(partitions[0]?.errorCode ?? -1)
    if (error === 'NONE') return { writtenAtMs: atMs, notWritten: null }
    return notWritten(whyNot({ kind: 'refused', errorName: error }))
  } catch (error) {
    if (error instanceof ReplicatorError) return notWritten(`${error.message} ${error.hint}`)
    return notWritten(unobserved(error, null).detail)
  }
}

/** As MirrorMaker 2 creates it. Whoever creates it first wins. */
async function describedOrCreated(deps: BeatDeps): Promise<TopicDescription> {
  const look = async () => {
    const [found] = await deps.source.describeTopics([heartbeatTopic])
    return found ?? { kind: 'missing' as const, name: heartbeatTopic }
  }
  const found = await look()
  if (found.kind !== 'missing') return found
  const configs = { 'cleanup.policy': 'compact' }
  await deps.openSourceAdmin().createTopic({ name: heartbeatTopic, partitions: 1, configs })
  return look()
}

function whyNot(
  topic:
    | Exclude<TopicDescription, { kind: 'exists' }>
    | { readonly kind: 'refused'; readonly errorName: string },
): string {
  switch (topic.kind) {
    case 'missing':
      return `topic ${heartbeatTopic} is missing`
    case 'denied':
      return `the principal has no Describe permission on topic ${heartbeatTopic}`
    case 'unknown':
      return `metadata of topic ${heartbeatTopic} answered ${topic.errorName}`
    case 'refused': {
      const isDenied = topic.errorName === 'TOPIC_AUTHORIZATION_FAILED'
      const right = isDenied ? ': grant Write on it, or set sync.heartbeats to off' : ''
      return `Produce to topic ${heartbeatTopic} answered ${topic.errorName}${right}`
    }
  }
}

function batchOf({ from, to }: FlowConfig, atMs: number): Buffer {
  const { key, value } = encodeHeartbeat({ source: from, target: to, atMs })
  const record = { attributes: 0, timestampDelta: 0n, offsetDelta: 0, body: bodyOf(key, value) }
  const timestamp = BigInt(atMs)
  const { bytes } = frameBatch({
    ...{ baseOffset: 0n, partitionLeaderEpoch: -1, codec: 'none', recordsCount: 1 },
    ...{ baseTimestamp: timestamp, maxTimestamp: timestamp, records: writeRecords([record]) },
  })
  return bytes
}

/** Reads the standby's topics of heartbeats: that of this flow, and those of further clusters. */
async function arrivedHeartbeats(
  { target, clock }: BeatDeps,
  flow: FlowConfig,
): Promise<Pick<Beat, 'paths' | 'unknown'>> {
  const topics = await describe(target, null)
  if ('kind' in topics) return { paths: [], unknown: [`${flow.to}: ${topics.detail}`] }
  const own = targetTopicName(flow, heartbeatTopic)
  const clusters = flow.clusters ?? [flow.from, flow.to]
  const names = [...topics.values()]
    .filter(
      ({ kind, name }) => kind === 'exists' && (heartbeatPath(name, clusters) ?? []).length > 0,
    )
    .map(each => each.name)
    .sort((left, right) => +(right === own) - +(left === own) || left.length - right.length)
  const unknown: string[] = []
  const paths: HeartbeatPath[] = []
  for (const name of names.slice(0, heartbeatPathsMax)) {
    const read = await readSafely({ cluster: target, clock }, name, flow)
    if (typeof read === 'string') {
      unknown.push(`${flow.to}: the heartbeats of ${name} are not known: ${read}`)
      continue
    }
    const ofFlow = name === own ? { source: flow.from, target: flow.to } : null
    const newestAtMs = newestHeartbeat(read, ofFlow)?.atMs ?? null
    const ageMs = newestAtMs === null ? null : Math.max(0, clock.nowMs() - newestAtMs)
    paths.push({
      isOwn: name === own,
      clusters: heartbeatPath(name, clusters) ?? [],
      newestAtMs,
      ageMs,
    })
  }
  return { paths, unknown }
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

async function latencyOf({ checkpoints }: BeatDeps, flow: FlowConfig): Promise<number | null> {
  if (!selects(flow, heartbeatTopic)) return null
  const listed = await checkpoints.list(flow.name)
  const row = listed.checkpoints.find(each => each.topic === heartbeatTopic)
  return row === undefined ? null : (positionOf(row.state)?.lastLatencyMs ?? null)
}

/** What a person is told. */
export function beatLines({ notWritten, unknown }: Beat): LogLine[] {
  return [...(notWritten === null ? [] : [notWritten]), ...unknown].map(warn)
}
