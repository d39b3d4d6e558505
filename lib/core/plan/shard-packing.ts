// Owns packing partitions with work into shards; one `replicate` invocation copies one shard. Does
// not own which partitions have work (run/plan/plan.ts), nor which of them join a worker that runs
// (joining.ts).

import { byTopicAndPartition } from '../topic-partition.ts'

export type Work = {
  readonly topic: string
  readonly partition: number
  /** Offsets behind the source, which the packing balances. */
  readonly lagRecords: bigint
}

export type ShardLimits = { readonly shardPartitionsMax: number; readonly workersMax: number }

export type Packing<W extends Work> = {
  readonly shards: readonly (readonly W[])[]
  /** Work beyond `workersMax` × `shardPartitionsMax`, left to the next tick. */
  readonly deferred: readonly W[]
}

/**
 * Packs the most lagging partitions first, each into the shard with the least lag that has room, so
 * that workers finish at about the same time. The same input gives the same shards.
 */
export function packShards<W extends Work>(work: readonly W[], limits: ShardLimits): Packing<W> {
  const sorted = [...work].sort(byLagThenName)
  const capacity = limits.shardPartitionsMax * limits.workersMax
  const taken = sorted.slice(0, capacity)
  const count = Math.min(limits.workersMax, Math.ceil(taken.length / limits.shardPartitionsMax))
  const shards = Array.from({ length: count }, () => ({ lag: 0n, work: [] as W[] }))
  for (const item of taken) {
    const open = shards.filter(shard => shard.work.length < limits.shardPartitionsMax)
    const lightest = open.reduce((best, shard) => (shard.lag < best.lag ? shard : best))
    lightest.work.push(item)
    lightest.lag += item.lagRecords
  }
  return { shards: shards.map(shard => shard.work), deferred: sorted.slice(capacity) }
}

/** For sorting: the partitions that are furthest behind first. */
export function byLagThenName(left: Work, right: Work): number {
  if (left.lagRecords !== right.lagRecords) return left.lagRecords > right.lagRecords ? -1 : 1
  return byTopicAndPartition(left, right)
}
