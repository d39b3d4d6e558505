// Owns filling several offsets of the target with one request to the leader of the partition
// (WriteTxnMarkers), where the configuration says so (`fillers: markers`) and the target allows it.
// The request belongs to the brokers, and nothing at the coordinator tells whose markers these are.
// So they have the epoch of the marker that fences, which this run has read in the log: a leader
// that has a later one refuses them, late ones of this run too (ProducerAppendInfo). They are never
// sent again: what was written is read in the log. Does not own which offsets are filled
// (fill-places.ts), nor the right (observe/marker-right.ts).

import { assert } from '../../core/assert.ts'
import { markersPerRequestMax } from '../../core/offsets/fill-limits.ts'
import { markersRefusedText } from '../../core/offsets/offsets-text.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { askForMarkerRight, type MarkerRight } from '../observe/marker-right.ts'
import { maySend } from '../partition/own-lease.ts'
import type { Filler, PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { fillFailure } from './abort-marker.ts'

/** How many of `places` offsets one request fills now; 0: a transaction fills the next one. */
export async function markersAtOnce(
  shard: Shard,
  { filler, leader, places }: MarkersToWrite,
): Promise<number> {
  // The first marker of a run is always that of a transaction: it fences.
  if (shard.flow.fillers !== 'markers' || filler.coordinatorEpoch === null) return 0
  shard.markerRight ??= ask(shard, leader.leaderId)
  const { kind } = await shard.markerRight
  return kind === 'granted' ? Math.min(places, markersPerRequestMax) : 0
}

export type MarkersToWrite = {
  readonly filler: Filler
  readonly leader: Leader
  readonly places: number
}

/**
 * Writes so many markers. `denied`: the target has taken the right away, and has written none.
 * Throws `BrokerFailure` where it is not known how many were written.
 */
export async function writeMarkers(
  shard: Shard,
  run: PartitionRun,
  { filler, leader, places: count }: MarkersToWrite,
): Promise<'written' | 'denied' | 'lease-lost'> {
  const { producerId, producerEpoch, coordinatorEpoch } = filler
  const { targetTopic: topic, key } = run
  const { partition } = key
  assert(coordinatorEpoch !== null, 'markers were to be written before the fence was read')
  if (!maySend(shard, run)) return 'lease-lost'
  const request = { producerId, producerEpoch, coordinatorEpoch, topic, partition, count }
  const { partitions } = await shard.target.writeTxnMarkers(leader.leaderId, request)
  const answer = partitions.find(each => each.topic === topic && each.partition === partition)
  const error = answer === undefined ? 'nothing' : errorName(answer.errorCode)
  if (error === 'NONE') return 'written'
  if (error !== 'CLUSTER_AUTHORIZATION_FAILED') {
    throw fillFailure(shard, run, `WriteTxnMarkers answered ${error}`)
  }
  // The broker looks at the right before it looks at a marker.
  shard.markerRight = Promise.resolve(refused(shard, { kind: 'refused', why: error }))
  return 'denied'
}

async function ask(shard: Shard, leaderId: number): Promise<MarkerRight> {
  return refused(shard, await askForMarkerRight(shard.target, leaderId))
}

/** Says once in a run that its holes are filled by transactions. */
function refused(shard: Shard, right: MarkerRight): MarkerRight {
  if (right.kind === 'granted') return right
  const { flow, target } = shard
  const text = markersRefusedText({ flow: flow.name, cluster: target.name, why: right.why })
  shard.log({ level: 'warn', text })
  return right
}
