// Incremental fetch sessions (KIP-227) against a real broker: the partitions that it remembers, the
// partitions that it leaves out, and its answer to an unknown session.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, openCluster } from '../../lib/io/cluster/cluster.ts'
import { errorName } from '../../lib/kafka/error-codes.ts'
import { createFetchSession } from '../../lib/kafka/fetch-session.ts'
import { connectTo, createTopic, produceBatches } from '../../localstack/scratch/topics.ts'
import { records } from '../support/kafka/records.ts'
import { openSharedClusters } from '../support/worlds/shared-fixture.ts'

const PARTITIONS = 50
const topic = 'fetch-session.log'
let source: ReturnType<typeof connectTo>
let cluster: Cluster
let topicId = ''
let leaderId = 0

beforeAll(async () => {
  const { source: shared } = await openSharedClusters()
  source = connectTo(shared)
  cluster = openCluster({
    name: 'primary',
    config: { brokers: [shared.brokers], tls: false },
    requestTimeoutMs: 30_000,
  })
  await createTopic(source, topic, { partitions: PARTITIONS })
  const [described] = await cluster.describeTopics([topic])
  if (described?.kind !== 'exists') throw new Error(`${topic} was not created`)
  topicId = described.topicId
  leaderId = described.partitions[0]?.leaderId ?? 0
})

afterAll(() => cluster?.close())

const limits = {
  maxWaitMs: 200,
  minBytes: 1,
  maxBytes: 1 << 20,
  isolationLevel: 'read-committed',
} as const

/** Requests the first `count` partitions from offset 0, or from the offset in `offsets`. */
function topicsFrom(count: number, offsets: ReadonlyMap<number, bigint> = new Map()) {
  const partitions = Array.from({ length: count }, (_, partition) => ({
    partition,
    currentLeaderEpoch: null,
    fetchOffset: offsets.get(partition) ?? 0n,
    lastFetchedEpoch: null,
    partitionMaxBytes: 1 << 20,
  }))
  return [{ topicId, partitions }]
}

test('in a fetch session a broker answers every partition once, then only those with new records', async () => {
  const session = createFetchSession()
  const fetch = async (count: number, offsets?: ReadonlyMap<number, bigint>) => {
    const request = session.next(topicsFrom(count, offsets))
    const answer = await cluster.fetch(leaderId, { ...limits, ...request })
    expect(session.answered(answer)).toBe('read')
    const named = request.topics.flatMap(each => each.partitions).length
    return { named, told: answer.partitions.map(each => each.partition) }
  }
  expect((await fetch(PARTITIONS)).told).toHaveLength(PARTITIONS)
  expect(await fetch(PARTITIONS)).toEqual({ named: 0, told: [] })
  await produceBatches(source, { topic, partition: 7 }, [records(0, 3)])
  expect(await fetch(PARTITIONS)).toEqual({ named: 0, told: [7] })
  expect((await fetch(PARTITIONS, new Map([[7, 3n]]))).named).toBe(1)
  expect(await fetch(PARTITIONS, new Map([[7, 3n]]))).toEqual({ named: 0, told: [] })
  // Partition 7 is forgotten, and its new records are in no response.
  await fetch(5)
  await produceBatches(source, { topic, partition: 7 }, [records(3, 3)])
  expect(await fetch(5)).toEqual({ named: 0, told: [] })
})

test('a fetch session that the broker does not know, or whose epoch is wrong, is opened again', async () => {
  const unknown = { sessionId: 4711, sessionEpoch: 3, forgotten: [] }
  const refused = await cluster.fetch(leaderId, { ...limits, topics: [], session: unknown })
  expect(errorName(refused.errorCode)).toBe('FETCH_SESSION_ID_NOT_FOUND')

  const session = createFetchSession()
  const opening = session.next(topicsFrom(3))
  session.answered(await cluster.fetch(leaderId, { ...limits, ...opening }))
  const lost = session.next(topicsFrom(3))
  await cluster.fetch(leaderId, { ...limits, ...lost })
  // The same request again: the session epoch of the broker is one ahead.
  const again = await cluster.fetch(leaderId, { ...limits, ...lost })
  expect(errorName(again.errorCode)).toBe('INVALID_FETCH_SESSION_EPOCH')
  expect(session.answered(again)).toBe('start-again')
  const reopened = await cluster.fetch(leaderId, { ...limits, ...session.next(topicsFrom(3)) })
  expect(session.answered(reopened)).toBe('read')
  expect(reopened.partitions).toHaveLength(3)
})
