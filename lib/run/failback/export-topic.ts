// Owns writing the records of the source that never travelled into a topic of their own on the
// standby: the old source may be read-only, or about to be deleted so that everything is copied
// back whole. The topic is one that did not exist. Every record is acknowledged by all in-sync
// replicas, and the topic is read back and counted before anything is decided. Does not own which
// records these are (ways.ts) nor how they are read (export-divergent.ts).
//
// A command that is killed here leaves a topic that holds a part. The next one refuses the name,
// and says how many of the records are there: nothing but its contents tells a part from a topic of
// an application, so gapless deletes none.

import type { FlowConfig } from '../../core/config/config.ts'
import {
  exportBatchBytes,
  exportBatchRecords,
  exportedRecordBytesMax,
} from '../../core/config/failover-limits.ts'
import { selects, sourceTopicName } from '../../core/config/topic-selection.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { withHeaders } from '../../kafka/record.ts'
import { isControlBatch } from '../../kafka/record-batch.ts'
import { packRecords, type SourceRecord } from '../../kafka/repack.ts'
import { createLogReader, readBatches } from '../compare/partition-reader.ts'
import type { LookDeps } from '../failover/look.ts'
import { observeLogs, pointOf, type SeenLog } from '../observe/logs.ts'
import { openAppender } from './append-batches.ts'
import { readDivergent } from './export-divergent.ts'
import type { Divergence } from './ways.ts'

/** Headers behind those of the record that say where it lay; their values are decimal text. */
export const sourceHeaders = {
  topic: 'gapless.source.topic',
  partition: 'gapless.source.partition',
  offset: 'gapless.source.offset',
} as const

/** Set on the topic, because a default of the standby would delete, refuse or date its records. */
const topicConfigs = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'message.timestamp.type': 'CreateTime',
  'max.message.bytes': String(exportedRecordBytesMax),
}

export type ExportTopicDeps = LookDeps & {
  readonly openTargetAdmin: () => Pick<TopicAdmin, 'createTopic'>
}

/**
 * Creates the topic and writes the records into it. Returns how many it holds. Throws
 * `ReplicatorError` when the topic exists or would not hold all of them, and `BrokerFailure` when a
 * cluster does not answer.
 */
export async function exportToTopic(
  deps: ExportTopicDeps,
  flow: FlowConfig,
  { topic, divergences }: { readonly topic: string; readonly divergences: readonly Divergence[] },
): Promise<bigint> {
  const wanted = divergences.reduce((sum, { records }) => sum + records, 0n)
  await refuseCopy(deps, flow, topic)
  const created = await deps
    .openTargetAdmin()
    .createTopic({ name: topic, partitions: 1, configs: topicConfigs })
  if (created === 'exists') throw await refuseExisting(deps, flow, { topic, wanted })
  const written = await writeAll(deps, flow, { topic, divergences })
  const counted = await countRecords(deps, flow, topic)
  if (written === wanted && counted === wanted) return counted
  throw new ReplicatorError({
    code: 'failover-refused',
    message:
      `Topic ${topic} on ${flow.to} holds ${counted} records, ${written} were written to it, and ${wanted} of the ` +
      `source ${flow.from} never travelled: the logs changed meanwhile`,
    hint: `Nothing was decided. ${deleteText(flow, topic)}, and run the command again`,
  })
}

/** A topic that the flow copies into would be taken for a copy of gapless. */
async function refuseCopy(
  { source, checkpoints }: ExportTopicDeps,
  flow: FlowConfig,
  topic: string,
): Promise<void> {
  const name = sourceTopicName(flow, topic)
  if (name === null || !selects(flow, name)) return
  const [found] = await source.describeTopics([name])
  const { checkpoints: rows } = await checkpoints.list(flow.name)
  const isKnown = rows.some(each => each.targetTopic === topic)
  if (!isKnown && (found === undefined || found.kind === 'missing')) return
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `Topic ${topic} on ${flow.to} is the copy of topic ${name} of flow ${flow.name}`,
    hint: 'Give --export-topic another name, which no flow copies into',
  })
}

async function refuseExisting(
  deps: ExportTopicDeps,
  flow: FlowConfig,
  { topic, wanted }: { readonly topic: string; readonly wanted: bigint },
): Promise<ReplicatorError> {
  const found = await countRecords(deps, flow, topic)
  const isWhole = found === wanted
  return new ReplicatorError({
    code: 'failover-refused',
    message:
      `Topic ${topic} exists on ${flow.to} and holds ${found} records, and ${wanted} never travelled: nothing was ` +
      'written to it',
    hint: isWhole
      ? 'If an earlier command wrote it, leave --export-topic out; otherwise give another name'
      : `If a command that was killed wrote it, ${deleteText(flow, topic)}; otherwise give another name`,
  })
}

function deleteText({ to }: FlowConfig, topic: string): string {
  return `delete it (kafka-topics --bootstrap-server BROKERS-OF-${to} --delete --topic ${topic})`
}

/** Returns how many records were acknowledged. */
async function writeAll(
  deps: ExportTopicDeps,
  flow: FlowConfig,
  { topic, divergences }: { readonly topic: string; readonly divergences: readonly Divergence[] },
): Promise<bigint> {
  const { append } = await openAppender(deps, flow, topic)
  let written = 0n
  for (const divergence of divergences) {
    let waiting: SourceRecord[] = []
    let bytes = 0
    const send = async () => {
      const batch = packRecords(waiting, { partitionLeaderEpoch: -1 }, 'none')
      if (batch !== null) await append(batch, divergenceText(divergence))
      waiting = []
      bytes = 0
    }
    written += await readDivergent(deps, flow, {
      divergence,
      take: async record => {
        const body = withHeaders(record.body, originOf(divergence, record))
        const isFull =
          waiting.length >= exportBatchRecords || bytes + body.length > exportBatchBytes
        if (isFull) await send()
        // Offsets of the new batch, which has no holes.
        waiting.push({ ...record, body, offset: BigInt(waiting.length) })
        bytes += body.length
      },
    })
    await send()
  }
  return written
}

function originOf({ seen }: Divergence, { offset }: SourceRecord) {
  return [
    { key: sourceHeaders.topic, value: Buffer.from(seen.topic) },
    { key: sourceHeaders.partition, value: Buffer.from(String(seen.partition)) },
    { key: sourceHeaders.offset, value: Buffer.from(String(offset)) },
  ]
}

function divergenceText({ seen: { topic, partition }, from, to }: Divergence): string {
  return `records of ${topic}-${partition}, offsets ${from} to ${to - 1n},`
}

/** Reads all partitions of the topic. */
async function countRecords(
  deps: ExportTopicDeps,
  flow: FlowConfig,
  topic: string,
): Promise<bigint> {
  const [described] = await deps.target.describeTopics([topic])
  const partitions = described?.kind === 'exists' ? described.partitions.length : 1
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  const views = await observeLogs(deps.target, all, ['log-start', 'log-end'])
  let records = 0n
  for (const at of all) {
    const view = views.of(at)
    if (view.kind !== 'seen') {
      const why = view.kind === 'missing' ? 'it is gone' : view.detail
      const detail = `topic ${topic} could not be read back: ${why}`
      throw new BrokerFailure({ reason: 'unreachable', cluster: deps.target.name, detail })
    }
    records += await countIn(deps, flow, { ...at, view })
  }
  return records
}

async function countIn(
  { target, clock }: ExportTopicDeps,
  { budgets }: FlowConfig,
  { view, ...at }: { readonly topic: string; readonly partition: number; readonly view: SeenLog },
): Promise<bigint> {
  const { topicId, leader } = view
  const { fetchBytesMax, requestTimeoutMs } = budgets
  const range = { from: pointOf(view, 'log-start'), to: pointOf(view, 'log-end') }
  const reader = createLogReader(
    { ...at, cluster: target, clock, topicId, leader, fetchBytesMax, requestTimeoutMs },
    { ...range, isolation: 'read-committed', waitMs: 0, mayBeOutOfRange: false },
    readBatches,
  )
  let records = 0n
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    for (const batch of part.batches)
      if (!isControlBatch(batch)) records += BigInt(batch.recordsCount)
  }
  return records
}
