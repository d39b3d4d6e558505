// What the leader of a partition and its transaction coordinator do for owners that share a
// producer. Run on the cluster in memory (tests/unit/support/fake-coordinator.test.ts) and on a
// real one (tests/integration/shared-producer.test.ts).

import { expect, test } from 'vitest'
import { sourceOffset } from '../../../lib/core/offset.ts'
import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import type {
  MarkerAnswer,
  MarkerRequest,
  ProducerIdentity,
} from '../../../lib/io/cluster/transaction-coordinator.ts'
import { errorName } from '../../../lib/kafka/error-codes.ts'
import { stampForProduce } from '../../../lib/kafka/produce-stamp.ts'
import {
  coordinatorEpochOf,
  isControlBatch,
  readRecordBatches,
} from '../../../lib/kafka/record-batch.ts'
import { askForMarkerRight } from '../../../lib/run/observe/marker-right.ts'
import { until } from '../../../localstack/processes/until.ts'
import { buildBatch, viewOf } from '../../unit/kafka/batches.ts'
import { batchWith } from '../worlds/real-records.ts'

export type ProducerUnderTest = {
  readonly cluster: Cluster
  /** An empty topic with one partition. */
  readonly topic: string
  /** AddPartitionsToTxn alone: its sender dies before EndTxn. */
  addPartition(request: MarkerRequest): Promise<MarkerAnswer['kind']>
}

export function sharedProducerContract(open: (name: string) => Promise<ProducerUnderTest>): void {
  test('a marker takes one offset, and sequences of its epoch go on behind it', async () => {
    const owner = await openOwner(open, 'one-offset')
    const first = await owner.assigned()
    expect(await owner.send(first, 0, 2)).toEqual({ error: 'NONE', baseOffset: 0n })
    await owner.mark(first)
    await owner.logEndIs(3n)
    expect(await owner.send(first, 2, 1)).toEqual({ error: 'NONE', baseOffset: 3n })
    await owner.mark(first)
    await owner.logEndIs(5n)
  })

  test('a batch is appended in its turn alone: another border is refused, a repetition is not', async () => {
    const owner = await openOwner(open, 'in-turn')
    const first = await owner.assigned()
    for (const sequence of [0, 2]) await owner.send(first, sequence, 2)
    expect(await owner.send(first, 2, 2)).toEqual({ error: 'NONE', baseOffset: 2n })
    for (const [sequence, records] of [
      [3, 2],
      [2, 1],
      [5, 1],
    ] as const) {
      const refused = { error: 'OUT_OF_ORDER_SEQUENCE_NUMBER', baseOffset: null }
      expect(await owner.send(first, sequence, records)).toEqual(refused)
    }
    for (const sequence of [4, 5, 6, 7, 8]) await owner.send(first, sequence, 1)
    const forgotten = await owner.send(first, 2, 2)
    expect(forgotten).toEqual({ error: 'OUT_OF_ORDER_SEQUENCE_NUMBER', baseOffset: null })
    await owner.logEndIs(9n)
  })

  test('a new epoch keeps the one before from writing markers at once, and data behind its first', async () => {
    const owner = await openOwner(open, 'new-epoch')
    const first = await owner.assigned()
    await owner.send(first, 0, 1)
    const second = await owner.assigned()
    expect(second).toEqual({ ...first, producerEpoch: first.producerEpoch + 1 })
    expect(await owner.tryToMark(first)).toBe('fenced')
    await owner.logEndIs(1n)
    expect(await owner.send(first, 1, 1)).toEqual({ error: 'NONE', baseOffset: 1n })
    await owner.mark(second)
    await owner.logEndIs(3n)
    const refused = { error: 'INVALID_PRODUCER_EPOCH', baseOffset: null }
    expect(await owner.send(first, 2, 1)).toEqual(refused)
    const outOfOrder = { error: 'OUT_OF_ORDER_SEQUENCE_NUMBER', baseOffset: null }
    expect(await owner.send(second, 2, 1)).toEqual(outOfOrder)
    expect(await owner.send(second, 0, 1)).toEqual({ error: 'NONE', baseOffset: 3n })
  })

  test('the marker that a dead owner owed is in the log when the next epoch is assigned', async () => {
    const owner = await openOwner(open, 'owed-marker')
    const first = await owner.assigned()
    await owner.send(first, 0, 1)
    expect(await owner.addPartition(first)).toBe('decided')
    expect(await owner.send(first, 1, 1)).toEqual({ error: 'NONE', baseOffset: 1n })
    const second = await owner.assigned()
    expect(second.producerEpoch).toBeGreaterThan(first.producerEpoch + 1)
    expect(await owner.logEnd()).toBe(3n)
    expect(await owner.addPartition(first)).toBe('fenced')
    const refused = { error: 'INVALID_PRODUCER_EPOCH', baseOffset: null }
    expect(await owner.send(first, 2, 1)).toEqual(refused)
  })

  test('markers without a coordinator take an offset each, as often as they are sent, and leave the sequences alone', async () => {
    const owner = await openOwner(open, 'at-leader')
    const first = await owner.assigned()
    await owner.mark(first)
    await owner.logEndIs(1n)
    const by = { ...first, coordinatorEpoch: await owner.coordinatorEpoch() }
    expect(await owner.send(first, 0, 2)).toEqual({ error: 'NONE', baseOffset: 1n })
    expect(await owner.markAtLeader(by, 3)).toEqual(['NONE'])
    expect(await owner.logEnd()).toBe(6n)
    expect(await owner.markAtLeader(by, 3)).toEqual(['NONE'])
    expect(await owner.logEnd()).toBe(9n)
    expect(await owner.send(first, 2, 1)).toEqual({ error: 'NONE', baseOffset: 9n })
    expect(await owner.markAtLeader(by, 0)).toEqual([])
    expect(await owner.logEnd()).toBe(10n)
    // The coordinator itself is not hindered.
    await owner.mark(first)
    await owner.logEndIs(11n)
  })

  test('markers of an earlier epoch, or of an earlier coordinator, are refused behind a fence, and only there', async () => {
    const owner = await openOwner(open, 'late-at-leader')
    const first = await owner.assigned()
    await owner.mark(first)
    await owner.logEndIs(1n)
    const late = { ...first, coordinatorEpoch: await owner.coordinatorEpoch() }
    const second = await owner.assigned()
    expect(await owner.markAtLeader(late, 1)).toEqual(['NONE'])
    expect(await owner.logEnd()).toBe(2n)
    await owner.mark(second)
    await owner.logEndIs(3n)
    expect(await owner.markAtLeader(late, 2)).toEqual(['INVALID_PRODUCER_EPOCH'])
    const coordinatorEpoch = await owner.coordinatorEpoch()
    const earlier = { ...second, coordinatorEpoch: coordinatorEpoch - 1 }
    expect(await owner.markAtLeader(earlier, 2)).toEqual(['TRANSACTION_COORDINATOR_FENCED'])
    expect(await owner.logEnd()).toBe(3n)
    expect(await owner.markAtLeader({ ...second, coordinatorEpoch }, 1)).toEqual(['NONE'])
    expect(await owner.logEnd()).toBe(4n)
  })

  test('whether markers would be taken is told by a topic that cannot exist', async () => {
    const owner = await openOwner(open, 'asked')
    expect(await owner.askForRight()).toEqual({ kind: 'granted' })
    expect(await owner.logEnd()).toBe(0n)
  })
}

/** A batch of `records` equal records, so that one of the same sequence is the same batch. */
function batchOf(records: number) {
  const same = Array.from({ length: records }, () => ({ key: 'k', value: 'v' }))
  return viewOf(buildBatch(batchWith(same)))
}

async function openOwner(open: (name: string) => Promise<ProducerUnderTest>, name: string) {
  const { cluster, topic, addPartition } = await open(name)
  const [described] = await cluster.describeTopics([topic])
  const leader = described?.kind === 'exists' ? described.partitions[0] : undefined
  if (leader?.leaderId == null) throw new Error(`${topic} has no leader`)
  const { leaderId, leaderEpoch } = leader
  const topicId = described?.kind === 'exists' ? described.topicId : ''
  const transactionalId = `gapless/flow/${topic}/0`
  const requestOf = (by: ProducerIdentity) => ({ ...by, transactionalId, topic, partition: 0 })
  const logEnd = async () => {
    const at = { topic, partition: 0, leaderEpoch }
    const [listed] = await cluster.listOffsets(leaderId, 'log-end', [at])
    return listed?.answer.kind === 'offset' ? listed.answer.offset : null
  }
  const unlessBusy = async <T extends { readonly kind: string }>(
    what: string,
    ask: () => Promise<T>,
  ) => {
    let answer: T | null = null
    await until(what, async () => {
      answer = await ask()
      return answer.kind !== 'busy'
    })
    return answer as unknown as Exclude<T, { readonly kind: 'busy' }>
  }
  const tryToMark = async (by: ProducerIdentity) => {
    const ask = () => cluster.writeAbortMarker(requestOf(by))
    return (await unlessBusy('the coordinator takes a marker', ask)).kind
  }
  return {
    addPartition: (by: ProducerIdentity) => addPartition(requestOf(by)),
    async assigned(): Promise<ProducerIdentity> {
      const ask = () => cluster.initProducerId(transactionalId)
      const answer = await unlessBusy('a producer is assigned', ask)
      if (answer.kind !== 'assigned') throw new Error(`no producer: ${answer.kind}`)
      const { producerId, producerEpoch } = answer
      return { producerId, producerEpoch }
    },
    async send(by: ProducerIdentity, baseSequence: number, records: number) {
      const bytes = stampForProduce(batchOf(records), { ...by, baseSequence })
      const partitions = [{ partition: 0, records: bytes }]
      const topics = [{ name: topic, partitions }]
      const answer = await cluster.produce(leaderId, { acks: -1, timeoutMs: 10_000, topics })
      const [produced] = answer.partitions
      const { errorCode = -1, baseOffset = null } = produced ?? {}
      return { error: errorName(errorCode), baseOffset: errorCode === 0 ? baseOffset : null }
    },
    tryToMark,
    /** Markers at the leader of the partition. Returns the names of all error codes. */
    async markAtLeader(by: ProducerIdentity & { coordinatorEpoch: number }, count: number) {
      const request = { ...by, topic, partition: 0, count }
      const { partitions } = await cluster.writeTxnMarkers(leaderId, request)
      return partitions.map(each => errorName(each.errorCode))
    },
    askForRight: () => askForMarkerRight(cluster, leaderId),
    /** That of the last marker in the log. */
    async coordinatorEpoch(): Promise<number> {
      const at = { partition: 0, currentLeaderEpoch: leaderEpoch, lastFetchedEpoch: null }
      const asked = { ...at, fetchOffset: sourceOffset(0n), partitionMaxBytes: 1_000_000 }
      const { partitions } = await cluster.fetch(leaderId, {
        ...{ maxWaitMs: 1_000, minBytes: 1, maxBytes: 1_000_000 },
        isolationLevel: 'read-uncommitted',
        topics: [{ topicId, partitions: [asked] }],
      })
      const { batches } = readRecordBatches(partitions[0]?.records ?? Buffer.alloc(0))
      const markers = batches.filter(each => each.kind === 'v2').filter(isControlBatch)
      const last = markers.at(-1)
      return (last === undefined ? null : coordinatorEpochOf(last)) ?? Number.NaN
    },
    mark: async (by: ProducerIdentity) => expect(await tryToMark(by)).toBe('decided'),
    logEnd,
    logEndIs: (end: bigint) =>
      until(`the log ends at ${end}`, async () => (await logEnd()) === end),
  }
}
