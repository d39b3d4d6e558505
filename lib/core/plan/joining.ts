// Owns who gets the partitions that no worker holds: a worker that runs already, or a new one. A
// worker of continuous mode is followed by another one for as long as its partitions copy: a chain.
// So a few partitions that lose their leases one by one must not become a chain each, or the chains
// use up the concurrency of all flows. Does not own which partitions are free (run/plan/plan.ts),
// nor how they are divided among new workers (shard-packing.ts).

import { assignedPartitionsMax, reservedWorkersMax } from '../config/defaults.ts'
import { isWorkerLive } from '../replicate/budget.ts'
import type { Worker } from '../row/worker-row.ts'
import { partitionName } from '../topic-partition.ts'
import { byLagThenName, packShards, type ShardLimits, type Work } from './shard-packing.ts'

/**
 * The workers that count as chains: live or about to start. A worker that has named its successor
 * ends within seconds, and its successor counts. A command of an operator is no worker.
 */
export function chainsOf(workers: readonly Worker[], nowMs: number): readonly Worker[] {
  return workers.filter(
    each => each.role === 'worker' && each.successor === null && isWorkerLive(each, nowMs),
  )
}

export type Crew = {
  readonly chains: readonly Worker[]
  /** Owners of live leases that have no row: runs of the version before, and operators. */
  readonly ownersApart: number
  /** Partitions of the flow that a worker copies or is to copy. */
  readonly partitions: number
  readonly mode: 'batch' | 'continuous'
}

export type Joining<W extends Work> = { readonly worker: string; readonly partitions: readonly W[] }

export type HandingOut<W extends Work> = {
  readonly joining: readonly Joining<W>[]
  /** One new worker each. */
  readonly shards: readonly (readonly W[])[]
  /** Partitions that were given to a worker before, which takes them at its next renewal. */
  readonly onTheirWay: readonly W[]
  /** Partitions that nobody has room for; the next tick asks again. */
  readonly deferred: readonly W[]
}

/**
 * Starts never more workers than `workersMax` less those that run. A run of batch mode ends when it
 * is drained, so nothing joins it. In continuous mode as many chains run as all partitions of the
 * flow need: new workers are started for the free partitions while there are fewer, and otherwise
 * each free partition joins the chain with the most room. One that finds no room waits for a tick:
 * the chain that has it is just starting, because together the chains have room for all.
 */
export function handOut<W extends Work>(
  free: readonly W[],
  crew: Crew,
  limits: ShardLimits,
): HandingOut<W> {
  const { workersMax, shardPartitionsMax } = limits
  const running = crew.chains.length + crew.ownersApart
  const roomForWorkers = Math.max(0, Math.min(workersMax - running, reservedWorkersMax))
  if (crew.mode === 'batch') {
    const packed = packShards(free, { ...limits, workersMax: roomForWorkers })
    return { ...packed, joining: [], onTheirWay: [] }
  }
  const given = new Set(crew.chains.flatMap(each => each.assigned.map(partitionName)))
  const onTheirWay = free.filter(each => given.has(partitionName(each)))
  const waiting = free.filter(each => !given.has(partitionName(each)))
  const wanted = Math.min(workersMax, Math.ceil(crew.partitions / shardPartitionsMax))
  const missing = Math.max(0, wanted - crew.chains.length)
  const started = { ...limits, workersMax: Math.min(roomForWorkers, missing) }
  const { shards, deferred: left } = packShards(waiting, started)
  return { shards, onTheirWay, ...join(left, crew.chains, limits) }
}

function join<W extends Work>(
  left: readonly W[],
  chains: readonly Worker[],
  { shardPartitionsMax }: ShardLimits,
): Pick<HandingOut<W>, 'joining' | 'deferred'> {
  const open = chains
    // A worker that has not begun reads no assignment yet, and how much it holds is not known.
    .filter(each => each.run !== null)
    .map(({ worker, partitions, assigned }) => ({
      worker,
      room: shardPartitionsMax - partitions - assigned.length,
      assignable: assignedPartitionsMax - assigned.length,
      work: [] as W[],
    }))
    .sort((one, other) => (one.worker < other.worker ? -1 : 1))
  const deferred: W[] = []
  for (const each of [...left].sort(byLagThenName)) {
    const [roomiest] = open
      .filter(({ room, assignable }) => room > 0 && assignable > 0)
      .sort((one, other) => other.room - one.room)
    if (roomiest === undefined) {
      deferred.push(each)
      continue
    }
    roomiest.work.push(each)
    roomiest.room -= 1
    roomiest.assignable -= 1
  }
  const joining = open
    .filter(({ work }) => work.length > 0)
    .map(({ worker, work }) => ({ worker, partitions: work }))
  return { joining, deferred }
}
