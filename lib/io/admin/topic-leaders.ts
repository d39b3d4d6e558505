// Owns counting the partitions of a topic that is being changed, and waiting until all their
// leaders answer. Does not own the change (topic-admin.ts).

import { setTimeout as delay } from 'node:timers/promises'
import type { LeaderPartition, TopicDescription } from '../cluster/cluster.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'
import { ReplicatorError } from '../failure/replicator-error.ts'
import { type AdministeredCluster, AdminRefusal } from './admin-request.ts'

/**
 * A new partition's leader answers within a second; a broker that restarts at that moment may need
 * longer.
 */
const LEADERS_DEADLINE_MS = 30_000
const LEADERS_POLL_MS = 100

/** Null when the cluster says that there is no such topic. Throws `AdminRefusal`. */
export async function countPartitions(
  cluster: AdministeredCluster,
  name: string,
): Promise<number | null> {
  const topic = await describeOne(cluster, name)
  switch (topic.kind) {
    case 'exists':
      return topic.partitions.length
    case 'missing':
      return null
    case 'denied':
      throw new AdminRefusal('TOPIC_AUTHORIZATION_FAILED', null)
    case 'unknown':
      throw new AdminRefusal(topic.errorName, null)
  }
}

/**
 * A leader that Metadata names may not answer yet: for some milliseconds the broker itself does
 * not know that it leads, and refuses Produce and Fetch. So each leader is asked for its log's end.
 */
export async function waitForLeaders(
  cluster: AdministeredCluster,
  topic: { readonly name: string; readonly partitions: number },
): Promise<void> {
  const deadlineMs = performance.now() + LEADERS_DEADLINE_MS
  let last = 'no answer'
  while (performance.now() < deadlineMs) {
    try {
      const answering = await countAnswering(cluster, topic.name)
      if (answering >= topic.partitions) return
      last = `${answering} of ${topic.partitions} partitions answer`
    } catch (error) {
      if (!(error instanceof BrokerFailure)) throw error
      last = error.message
    }
    await delay(LEADERS_POLL_MS)
  }
  throw new ReplicatorError({
    code: 'cluster-refused',
    message:
      `Cluster ${cluster.name}: the leaders of topic ${topic.name} do not answer ` +
      `${LEADERS_DEADLINE_MS / 1_000} s after it was created: ${last}.`,
    hint: `Check with kafka-topics --describe --topic ${topic.name} that every partition has a leader.`,
  })
}

async function countAnswering(cluster: AdministeredCluster, name: string): Promise<number> {
  const topic = await describeOne(cluster, name)
  if (topic.kind !== 'exists') return 0
  const byLeader = new Map<number, LeaderPartition[]>()
  for (const { partition, leaderId, leaderEpoch } of topic.partitions) {
    if (leaderId === null) continue
    const led = byLeader.get(leaderId) ?? []
    led.push({ topic: name, partition, leaderEpoch })
    byLeader.set(leaderId, led)
  }
  const listed = await Promise.all(
    [...byLeader].map(([leaderId, led]) => cluster.listOffsets(leaderId, 'log-end', led)),
  )
  return listed.flat().filter(({ answer }) => answer.kind === 'offset').length
}

async function describeOne(cluster: AdministeredCluster, name: string): Promise<TopicDescription> {
  const [described] = await cluster.describeTopics([name])
  return described ?? { kind: 'missing', name }
}
