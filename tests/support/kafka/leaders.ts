// Leaders and replicas of partition 0 of a topic, on a cluster of several brokers whose node ids
// begin with 1. Asks again where kafkajs gives up because a broker restarts.

import type { Admin, PartitionMetadata } from 'kafkajs'
import { kafkajs } from '../../../cli/kafkajs/load-kafkajs.ts'
import { until } from '../../../localstack/processes/until.ts'
import type { TestCluster } from '../../../localstack/scratch/brokers.ts'

type OnCluster = <T>(work: (admin: Admin) => Promise<T>) => Promise<T>

/** Repeats `work`, because kafkajs gives up at once when a broker restarts. */
export async function patiently<T>(what: string, work: () => Promise<T>): Promise<T> {
  const done: T[] = []
  await until(what, async () => {
    try {
      done.push(await work())
    } catch (error) {
      if (!(error instanceof kafkajs.KafkaJSError) || !error.retriable) throw error
    }
    return done.length > 0
  })
  return done[0] as T
}

export function brokerOf({ nodes }: Pick<TestCluster, 'nodes'>, nodeId: number) {
  const found = nodes[nodeId - 1]
  if (found === undefined) throw new Error(`the cluster has no broker ${nodeId}`)
  return found
}

async function partitionOf(on: OnCluster, topic: string): Promise<PartitionMetadata | undefined> {
  const { topics } = await patiently(`${topic} is described`, () =>
    on(admin => admin.fetchTopicMetadata({ topics: [topic] })),
  )
  return topics[0]?.partitions.find(each => each.partitionId === 0)
}

export function isLedBy(on: OnCluster, topic: string, nodeId: number): Promise<void> {
  return until(`broker ${nodeId} leads ${topic}`, async () => {
    return (await partitionOf(on, topic))?.leader === nodeId
  })
}

export function hasInSync(on: OnCluster, topic: string, nodeIds: readonly number[]): Promise<void> {
  return until(`the replicas of ${topic} in sync are ${nodeIds}`, async () => {
    const inSync = (await partitionOf(on, topic))?.isr ?? []
    return inSync.length === nodeIds.length && nodeIds.every(each => inSync.includes(each))
  })
}
