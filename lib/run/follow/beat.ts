// Owns the heartbeat of a flow: one record a tick to the topic `heartbeats` of the source, which is
// copied as any other one. Nothing else is ever written to a source; without the right to write
// there, a sentence says so, and the flow goes on. Does not own the form of the record
// (core/sync/heartbeat.ts) nor those that have arrived (arrived-heartbeats.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { heartbeatTopic } from '../../core/config/heartbeat-topic.ts'
import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import { encodeHeartbeat } from '../../core/sync/heartbeat.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { Cluster, TopicDescription } from '../../io/cluster/cluster.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { bodyOf, writeRecords } from '../../kafka/record.ts'
import { frameBatch } from '../../kafka/record-batch.ts'
import { unobserved } from '../observe/logs.ts'
import { type ArrivedDeps, arrivedHeartbeats, type HeartbeatPath } from './arrived-heartbeats.ts'
import { warn } from './sync-topics.ts'

export type BeatDeps = ArrivedDeps & {
  readonly source: Cluster
  /** Called only when the topic is missing. */
  readonly openSourceAdmin: () => Pick<TopicAdmin, 'createTopic'>
}

export type Beat = {
  /** Null: none was written. */
  readonly writtenAtMs: number | null
  /** Why none was written; null where one was, or none is to be. */
  readonly notWritten: string | null
  /** The way of this flow first, then those that it carries on. Empty without `sync.heartbeats`. */
  readonly paths: readonly HeartbeatPath[]
  readonly unknown: readonly string[]
}

const silent: Beat = {
  writtenAtMs: null,
  notWritten: null,
  paths: [],
  unknown: [],
}

/** Never throws when a cluster refuses or does not answer. */
export async function beat(deps: BeatDeps, flow: FlowConfig): Promise<Beat> {
  if (flow.sync.heartbeats === 'off') return silent
  // First what has arrived: the one that is written now cannot have.
  const arrived = await arrivedHeartbeats(deps, flow)
  const written = await writeHeartbeat(deps, flow)
  return { ...arrived, ...written }
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

/** What a person is told. */
export function beatLines({ notWritten, unknown }: Beat): LogLine[] {
  return [...(notWritten === null ? [] : [notWritten]), ...unknown].map(warn)
}
