import { describe, expect, test } from 'vitest'
import { partitionName, type TopicPartition } from '../../../../lib/core/topic-partition.ts'
import type { Cluster, ListedOffset, TopicDescription } from '../../../../lib/io/cluster/cluster.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'
import { type LogView, observeLogs } from '../../../../lib/run/observe/logs.ts'

type Answers = {
  readonly topics?: readonly TopicDescription[] | Error
  readonly offsets?: (
    leaderId: number,
    at: TopicPartition,
    point: string,
  ) => ListedOffset['answer'] | null
  readonly listing?: (leaderId: number) => Error | null
}

/** A cluster with scripted answers, which counts its requests. */
function handMade(answers: Answers) {
  const asked: string[] = []
  const cluster: Cluster = {
    name: 'primary',
    describeTopics: async names => {
      asked.push(`metadata ${names?.join(' ')}`)
      if (answers.topics instanceof Error) throw answers.topics
      return [...(answers.topics ?? [])]
    },
    listOffsets: async (leaderId, point, partitions) => {
      asked.push(`${point} of broker ${leaderId}: ${partitions.map(partitionName).join(' ')}`)
      const failure = answers.listing?.(leaderId)
      if (failure) throw failure
      return partitions.flatMap(({ topic, partition }) => {
        const answer = (answers.offsets ?? inRange)(leaderId, { topic, partition }, point)
        return answer === null ? [] : [{ topic, partition, answer }]
      })
    },
    fetch: () => expect.unreachable(),
    produce: () => expect.unreachable(),
    initProducerId: () => expect.unreachable(),
    writeAbortMarker: () => expect.unreachable(),
    writeTxnMarkers: () => expect.unreachable(),
    close: () => expect.unreachable(),
  }
  return { cluster, asked }
}

function inRange(_: number, __: TopicPartition, point: string): ListedOffset['answer'] {
  const offsets: Record<string, bigint> = { 'log-start': 5n, 'last-stable': 8n, 'log-end': 9n }
  return { kind: 'offset', offset: offsets[point] ?? 0n }
}

function topic(name: string, leaders: readonly (number | null)[]): TopicDescription {
  const partitions = leaders.map((leaderId, partition) => ({ partition, leaderId, leaderEpoch: 7 }))
  return { kind: 'exists', name, topicId: `id-of-${name}`, isInternal: false, partitions }
}

const orders = { topic: 'orders', partition: 0 }
const unreachable = new BrokerFailure({
  reason: 'unreachable',
  cluster: 'primary',
  detail: 'broker a:1: ECONNREFUSED',
})

async function viewOf(answers: Answers, at = orders): Promise<LogView> {
  const points = ['log-start', 'last-stable', 'log-end'] as const
  return (await observeLogs(handMade(answers).cluster, [at], points)).of(at)
}

describe('a partition that answers', () => {
  test('a partition that answers is seen with topic id, leader and every point that was asked for', async () => {
    expect(await viewOf({ topics: [topic('orders', [3])] })).toEqual({
      kind: 'seen',
      topicId: 'id-of-orders',
      leader: { leaderId: 3, leaderEpoch: 7 },
      offsets: new Map([
        ['log-start', 5n],
        ['last-stable', 8n],
        ['log-end', 9n],
      ]),
    })
  })

  test('observing any number of partitions costs one Metadata request, and one ListOffsets per broker and point', async () => {
    const { cluster, asked } = handMade({ topics: [topic('a', [1, 2, 1]), topic('b', [2])] })
    const all = [0, 1, 2].map(partition => ({ topic: 'a', partition }))
    const partitions = [...all, { topic: 'b', partition: 0 }]

    await observeLogs(cluster, partitions, ['log-start', 'log-end'])

    expect(asked).toEqual([
      'metadata a b',
      'log-start of broker 1: a-0 a-2',
      'log-end of broker 1: a-0 a-2',
      'log-start of broker 2: a-1 b-0',
      'log-end of broker 2: a-1 b-0',
    ])
  })

  test('observing no partition costs no request', async () => {
    const { cluster, asked } = handMade({})
    await observeLogs(cluster, [], ['log-end'])
    expect(asked).toEqual([])
  })
})

describe('a partition that is not there', () => {
  test('a partition is missing when its topic is', async () => {
    const topics: TopicDescription[] = [{ kind: 'missing', name: 'orders' }]
    expect(await viewOf({ topics })).toEqual({ kind: 'missing', topicId: null })
  })

  test('a partition is missing from a topic with fewer partitions, and the view names that topic id', async () => {
    const view = await viewOf({ topics: [topic('orders', [1])] }, { topic: 'orders', partition: 1 })
    expect(view).toEqual({ kind: 'missing', topicId: 'id-of-orders' })
  })
})

describe('what could not be told is unobserved, never missing and never a number', () => {
  const error = (errorName: string) => () => ({ kind: 'error' as const, errorName })
  const cases: Record<string, [Answers, Partial<LogView>]> = {
    'a cluster that does not answer': [
      { topics: unreachable },
      { reason: 'unreachable', topic: null, detail: 'broker a:1: ECONNREFUSED' },
    ],
    'a cluster that denies access': [
      {
        topics: new BrokerFailure({
          reason: 'authorization-denied',
          cluster: 'primary',
          detail: 'SASL',
        }),
      },
      { reason: 'authorization-denied', topic: null, detail: 'SASL' },
    ],
    'a topic that may not be described': [
      { topics: [{ kind: 'denied', name: 'orders' }] },
      { reason: 'authorization-denied', topic: 'orders' },
    ],
    'a topic with an unexpected error': [
      { topics: [{ kind: 'unknown', name: 'orders', errorName: 'LEADER_NOT_AVAILABLE' }] },
      { reason: 'unreachable', topic: 'orders', detail: 'metadata answered LEADER_NOT_AVAILABLE' },
    ],
    'a topic left out of the answer': [{ topics: [] }, { reason: 'unreachable', topic: 'orders' }],
    'a partition without a leader': [
      { topics: [topic('orders', [null])] },
      { reason: 'unreachable', topic: 'orders', detail: 'orders-0 has no leader' },
    ],
    'a broker that fails during ListOffsets': [
      { topics: [topic('orders', [1])], listing: () => unreachable },
      { reason: 'unreachable', topic: null },
    ],
    'a ListOffsets that is refused': [
      { topics: [topic('orders', [1])], offsets: error('FENCED_LEADER_EPOCH') },
      {
        reason: 'unreachable',
        topic: 'orders',
        detail: 'ListOffsets answered FENCED_LEADER_EPOCH',
      },
    ],
    'a ListOffsets that is denied': [
      { topics: [topic('orders', [1])], offsets: error('TOPIC_AUTHORIZATION_FAILED') },
      { reason: 'authorization-denied', topic: 'orders' },
    ],
  }
  for (const [what, [answers, expected]] of Object.entries(cases)) {
    test(`${what} makes its partition unobserved`, async () => {
      expect(await viewOf(answers)).toMatchObject({ kind: 'unobserved', ...expected })
    })
  }

  test('one refused point makes the whole view unobserved, in whichever order the answers come', async () => {
    const offsets: Answers['offsets'] = (leaderId, at, point) =>
      point === 'last-stable'
        ? { kind: 'error', errorName: 'OFFSET_NOT_AVAILABLE' }
        : inRange(leaderId, at, point)
    expect(await viewOf({ topics: [topic('orders', [1])], offsets })).toMatchObject({
      kind: 'unobserved',
    })
  })

  test('a broker that does not answer leaves only its own partitions unobserved', async () => {
    const { cluster } = handMade({
      topics: [topic('orders', [1, 2])],
      listing: leaderId => (leaderId === 1 ? unreachable : null),
    })
    const other = { topic: 'orders', partition: 1 }
    const views = await observeLogs(cluster, [orders, other], ['log-end'])
    expect(views.of(orders)).toMatchObject({ kind: 'unobserved' })
    expect(views.of(other)).toMatchObject({ kind: 'seen' })
  })

  test('a partition that was not asked for is unobserved', async () => {
    const views = await observeLogs(
      handMade({ topics: [topic('orders', [1])] }).cluster,
      [orders],
      [],
    )
    expect(views.of({ topic: 'payments', partition: 0 })).toMatchObject({ kind: 'unobserved' })
  })
})

test('a bug is rethrown, not reported as a cluster that does not answer', async () => {
  await expect(viewOf({ topics: new TypeError('a bug') })).rejects.toThrow('a bug')
})
