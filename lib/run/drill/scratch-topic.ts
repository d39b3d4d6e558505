// Owns writing numbered records to the scratch topic of a drill, and reading all that its log
// holds, with the requests of gapless itself: they go where the configuration says, with its TLS
// and SASL. Does not own which records are expected (rehearse.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import {
  observationAttemptsMax,
  retryBackoffMs,
  translationFetchBytes,
} from '../../core/config/defaults.ts'
import { drillBatchRecordsMax } from '../../core/config/failover-limits.ts'
import { backoffMs } from '../../core/replicate/budget.ts'
import { dispositionOf, mayHaveAppended } from '../../core/replicate/error-disposition.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { bodyOf, readRecordBody, writeRecords } from '../../kafka/record.ts'
import { frameBatch, isControlBatch, type RecordBatch } from '../../kafka/record-batch.ts'
import { openInSlices } from '../../kafka/repack.ts'
import { createLogReader, readBatches } from '../compare/partition-reader.ts'
import { doInSlices, pauseForATurn } from '../in-slices.ts'
import { observeLogs, pointOf, type SeenLog } from '../observe/logs.ts'

/** The scratch topic on one of the two clusters. */
export type ScratchTopic = {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly topic: string
  readonly partitions: number
  readonly budgets: FlowConfig['budgets']
  /** The name of the drill: records of others have another one, or none. */
  readonly drill: string
}

export type ScratchRecord = {
  readonly offset: bigint
  /** The sequence number; a sentence for a record that this drill did not write. */
  readonly id: string
}

/** The records of each partition, in their order. */
export type ScratchLog = readonly (readonly ScratchRecord[])[]

/**
 * Writes a record for each sequence number, to the partition that is its remainder. Resolves when
 * all in-sync replicas have acknowledged each. Throws `BrokerFailure` where one was refused, or
 * where it is not known whether it was stored: it is not sent again then, because it might be
 * stored twice.
 */
export async function writeNumbered(
  at: ScratchTopic,
  sequences: readonly number[],
): Promise<readonly string[]> {
  const byPartition = Map.groupBy(sequences, each => each % at.partitions)
  for (const [partition, all] of byPartition) {
    for (let from = 0; from < all.length; from += drillBatchRecordsMax) {
      const some = all.slice(from, from + drillBatchRecordsMax)
      await writeBatch(at, { topic: at.topic, partition }, batchOf(at, some))
    }
  }
  return sequences.map(String)
}

async function writeBatch(at: ScratchTopic, where: TopicPartition, records: Buffer): Promise<void> {
  const { topic, partition } = where
  let error = 'NONE'
  for (let attempt = 0; attempt < observationAttemptsMax; attempt += 1) {
    if (attempt > 0) await at.clock.wait(backoffMs(attempt, retryBackoffMs))
    const { leader } = await lookAt(at, where)
    const { partitions } = await at.cluster.produce(leader.leaderId, {
      acks: -1,
      timeoutMs: at.budgets.requestTimeoutMs,
      topics: [{ name: topic, partitions: [{ partition, records }] }],
    })
    error = errorName(partitions[0]?.errorCode ?? -1)
    if (error === 'NONE') return
    if (mayHaveAppended(error) || dispositionOf('produce', error) !== 'observe') break
  }
  const isDenied = dispositionOf('produce', error) === 'denied'
  const reason = isDenied ? 'authorization-denied' : 'unreachable'
  const right = isDenied ? ', the drill needs Write on it (docs/FAILOVER.md)' : ''
  const detail = `Produce to ${partitionName(where)} answered ${error}${right}`
  throw new BrokerFailure({ reason, cluster: at.cluster.name, detail })
}

function batchOf({ drill, clock }: ScratchTopic, sequences: readonly number[]): Buffer {
  const records = sequences.map((sequence, offsetDelta) => {
    const value = Buffer.from(JSON.stringify({ drill, sequence }))
    const body = bodyOf(Buffer.from(String(sequence)), value)
    return { attributes: 0, timestampDelta: 0n, offsetDelta, body }
  })
  const timestamp = BigInt(clock.nowMs())
  const { bytes } = frameBatch({
    ...{ baseOffset: 0n, partitionLeaderEpoch: -1, codec: 'none', recordsCount: records.length },
    ...{ baseTimestamp: timestamp, maxTimestamp: timestamp, records: writeRecords(records) },
  })
  return bytes
}

/** Reads every partition to its end. Throws `BrokerFailure` when one cannot be read. */
export async function readScratch(at: ScratchTopic): Promise<ScratchLog> {
  const log: ScratchRecord[][] = []
  for (let partition = 0; partition < at.partitions; partition += 1) {
    log.push(await readPartition(at, partition))
  }
  return log
}

async function readPartition(at: ScratchTopic, partition: number): Promise<ScratchRecord[]> {
  const { cluster, clock, topic, budgets } = at
  const seen = await lookAt(at, { topic, partition })
  const reader = createLogReader(
    {
      ...{ cluster, clock, topic, partition, topicId: seen.topicId, leader: seen.leader },
      ...{ fetchBytesMax: translationFetchBytes, requestTimeoutMs: budgets.requestTimeoutMs },
    },
    {
      ...{ from: pointOf(seen, 'log-start'), to: pointOf(seen, 'log-end') },
      ...{ isolation: 'read-uncommitted', waitMs: 0, mayBeOutOfRange: false },
    },
    readBatches,
  )
  const records: ScratchRecord[] = []
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    for (const batch of part.batches) {
      if (!isControlBatch(batch)) records.push(...(await recordsOf(at, { partition, batch })))
    }
  }
  // The log may start within a batch, which a broker returns whole.
  return records.filter(each => each.offset >= pointOf(seen, 'log-start'))
}

async function recordsOf(
  at: ScratchTopic,
  { partition, batch }: { readonly partition: number; readonly batch: RecordBatch },
): Promise<ScratchRecord[]> {
  const opened = await doInSlices(openInSlices(batch), pauseForATurn)
  const records: ScratchRecord[] = []
  for (let each = opened.current(); each !== null; each = opened.current()) {
    const { offset, body } = each
    const { key, value } = readRecordBody(body)
    const sequence = String(key)
    const isOurs = String(value) === JSON.stringify({ drill: at.drill, sequence: Number(sequence) })
    const where = `${partitionName({ topic: at.topic, partition })} at offset ${offset}`
    records.push({ offset, id: isOurs ? sequence : `a record of others in ${where}` })
    opened.advance()
  }
  return records
}

/** Throws `BrokerFailure` when the log of the partition is not seen after some looks. */
async function lookAt({ cluster, clock }: ScratchTopic, where: TopicPartition): Promise<SeenLog> {
  let why = 'it does not exist'
  for (let attempt = 0; attempt < observationAttemptsMax; attempt += 1) {
    if (attempt > 0) await clock.wait(backoffMs(attempt, retryBackoffMs))
    const views = await observeLogs(cluster, [where], ['log-start', 'log-end'])
    const view = views.of(where)
    if (view.kind === 'seen') return view
    if (view.kind === 'unobserved') why = view.detail
  }
  const detail = `${partitionName(where)} cannot be observed: ${why}`
  throw new BrokerFailure({ reason: 'unreachable', cluster: cluster.name, detail })
}
