// Owns reading one partition outside of the copying: single fetches, answered at once, and what a
// reader of the source's or the target's batches makes of them. Does not own the fetches of the
// data path (fetch-loop.ts).

import type { SourceOffset, TargetOffset } from '../../core/offset.ts'
import { concatSpans, type OffsetSpan } from '../../core/partition/epoch-history.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { admitBatches } from '../../core/replicate/batch-admission.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { FetchedPartition, IsolationLevel } from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { type RecordBatch, readRecordBatches } from '../../kafka/record-batch.ts'
import type { Candidates } from './comparison.ts'

export type OnePartition = {
  readonly cluster: Cluster
  readonly topicId: string
  readonly partition: number
  readonly leader: Leader
  /** Of one answer. */
  readonly fetchBytesMax: number
}

export type SingleFetch = {
  readonly from: SourceOffset | TargetOffset
  readonly isolation: IsolationLevel
  /** How long the broker may wait for a record, ms. */
  readonly waitMs: number
  /** null, or left out: no divergence is asked for. */
  readonly lastFetchedEpoch?: number | null
}

/** null: the offset is out of range. Throws `BrokerFailure` for any other answer that is none. */
export async function fetchPartition(
  at: OnePartition,
  { from, isolation, waitMs, lastFetchedEpoch = null }: SingleFetch,
): Promise<FetchedPartition | null> {
  const { fetchBytesMax } = at
  const position = {
    partition: at.partition,
    currentLeaderEpoch: at.leader.leaderEpoch,
    fetchOffset: from,
    lastFetchedEpoch,
    partitionMaxBytes: fetchBytesMax,
  }
  const answer = await at.cluster.fetch(at.leader.leaderId, {
    maxWaitMs: waitMs,
    minBytes: 1,
    maxBytes: fetchBytesMax,
    isolationLevel: isolation,
    topics: [{ topicId: at.topicId, partitions: [position] }],
  })
  const [fetched] = answer.partitions
  const error = errorName(fetched?.errorCode ?? answer.errorCode)
  if (fetched !== undefined && error === 'NONE') return fetched
  if (fetched !== undefined && error === 'OFFSET_OUT_OF_RANGE') return null
  const detail = `a fetch of partition ${at.partition} at offset ${from} answered ${error}`
  throw new BrokerFailure({ reason: 'unreachable', cluster: at.cluster.name, detail })
}

/**
 * The batches of a log that are to be copied, or were, from `from` on and below `to`, fetched as
 * they are asked for. They end where an offset is out of range if that may be; else that is a
 * `BrokerFailure`: retention has come past since the log was looked at, and what it left must be
 * compared all the same. Offsets are those of the log that is read, be it the target's.
 */
export function createCandidates(
  log: OnePartition,
  range: {
    readonly from: SourceOffset
    readonly to?: SourceOffset
    readonly mayBeOutOfRange: boolean
    readonly beforeFetch?: () => Promise<void>
  },
): Candidates & { at(): bigint; reachedEnd(): boolean } {
  let { from } = range
  let admitted: CopiedBatch[] = []
  let isOver = false
  // Their epochs are the position's as soon as the batch behind them is.
  let skipped: OffsetSpan | null = null
  const isBeyond = (offset: bigint) => range.to !== undefined && offset >= range.to
  const at = () => admitted[0]?.batch.baseOffset ?? from
  return {
    /** Where the first one begins, or would. */
    at,
    /** Once there is none left: false where some could not be read. */
    reachedEnd: () => isBeyond(at()),
    async first(): Promise<CopiedBatch | null> {
      // Ends: a pass that brings no batch and does not move on is the last one.
      while (admitted.length === 0 && !isOver && !isBeyond(from)) {
        const request = { from, isolation: 'read-committed' as const, waitMs: 0 }
        await range.beforeFetch?.()
        const answer = await fetchPartition(log, request)
        if (answer === null && range.mayBeOutOfRange) return null
        if (answer === null) throw changedMeanwhile(log)
        const admission = admitBatches(answer, from)
        if (admission.skipped !== null) skipped = concatSpans(skipped, admission.skipped)
        admitted = admission.copied
        const [next] = admitted
        if (next !== undefined && skipped !== null) {
          admitted[0] = { ...next, ...concatSpans(skipped, next) }
          skipped = null
        }
        isOver = admission.refusal !== null || admission.nextFetchOffset === from
        from = admission.nextFetchOffset
      }
      const [first] = admitted
      return first === undefined || isBeyond(first.batch.baseOffset) ? null : first
    },
    take(): void {
      admitted.shift()
    },
  }
}

function changedMeanwhile({ cluster, partition }: OnePartition): BrokerFailure {
  const detail = `the log of partition ${partition} changed while its records were compared`
  return new BrokerFailure({ reason: 'unreachable', cluster: cluster.name, detail })
}

/** The batches of an answer of the target, which knows no older format. */
export function v2Batches({ records }: Pick<FetchedPartition, 'records'>): RecordBatch[] {
  if (records === null) return []
  return readRecordBatches(records).batches.flatMap(each => (each.kind === 'v2' ? [each] : []))
}
