// Owns the interfaces to durable state: checkpoints with their leases, workers, and incidents. One
// implementation writes to DynamoDB (checkpoint-store.ts, worker-store.ts, incident-store.ts); the
// tests have one in memory. A checkpoint is one conditional write of one item, so it works on every
// emulator and costs one request; only rare writes, such as incidents, are transactions.

import type { Incident, Resolution } from '../../core/incident.ts'
import type { SourceOffset } from '../../core/offset.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { Checkpoint, ListedCheckpoints, PartitionKey } from '../../core/row/checkpoint.ts'
import type { IncidentKey, ListedIncidents } from '../../core/row/incident-row.ts'
import type { ListedWorkers, WorkerKey, WorkerRole } from '../../core/row/worker-row.ts'
import type { AssignedPartition } from '../../core/topic-partition.ts'

export type Acquisition =
  | {
      readonly kind: 'acquired'
      /** The row after the acquisition, with our owner and fence. */
      readonly checkpoint: Checkpoint
      /** True when the lease was never held, or its last owner released it. */
      readonly cleanHandOver: boolean
      /**
       * Present when the lease was taken from an owner whose clock is far ahead: how long, ms, the
       * lease would still have run by our clock. That owner may be alive, and sends for as long as
       * the lease lasts by its own clock, or until it finds out that its fence is stale.
       */
      readonly datedAheadMs?: number
      /**
       * True when the partition was taken from a worker that had ended. That worker may be alive
       * and send until `leaseMs` after its own last renewal, unless it is fenced.
       */
      readonly tookFromWorker?: true
    }
  /**
   * Another owner's lease is live until `untilMs` (Unix time, ms). `lease`: whose time that is, the
   * partition's own, or that of the worker which has it.
   */
  | {
      readonly kind: 'held'
      readonly owner: string
      readonly untilMs: number
      readonly lease: LeaseKind
    }

/**
 * `own`: the row of the partition has the time of the lease, and each write renews it. `worker`:
 * the row of the worker has it, for all partitions that the worker holds.
 */
export type LeaseKind = 'own' | 'worker'

/** The lease of a partition: valid until another owner acquires it and the fence grows. */
export type LeaseOf = { readonly key: PartitionKey; readonly fence: number }

export type CheckpointStore = {
  /**
   * Lists every row of a flow, those of its workers too. A corrupt row is listed apart and hides
   * none of the others. `lease.untilMs` of a checkpoint is when the lease ends: where it is the
   * worker's, by the row of the worker, and long ago when that worker has ended.
   */
  list(flow: string): Promise<ListedCheckpoints>
  /** Throws `CorruptRowError`, as `acquire` does: there is no other row to return. */
  get(key: PartitionKey): Promise<Checkpoint | null>
  /**
   * Acquires the lease of a partition when it was never held, was released, or has expired, or when
   * the worker that holds it has ended, which this declares where the worker's lease is over.
   * Creates the row in state `unstarted` when there is none. The fence grows by one each time.
   * A lease that ends more than `leaseMs` and `clockSkewMsMax` from `nowMs` counts as expired: the
   * clock that dated it is wrong, or `nowMs` is. Its owner may still be alive. That owner can store
   * nothing any more, because every write checks the fence, and the hand-over is not clean.
   * `owner` is unique to a run: the owner of a live lease that acquires it again gets the same
   * lease, because the first response was lost.
   */
  acquire(input: {
    readonly key: PartitionKey
    readonly targetTopic: string
    readonly owner: string
    readonly nowMs: number
    readonly leaseMs: number
    /** `own` by default. With `worker` the owner is the id of a worker that has begun. */
    readonly lease?: LeaseKind
  }): Promise<Acquisition>
  /**
   * Writes the state and renews or releases the lease, on condition that `fence` is still ours.
   * `lease-lost`: another owner acquired the lease; nothing was written. `write` numbers the
   * owner's writes from 1. The client sends a write again when no response came, and the first
   * sending may arrive last, after later writes, which it must not undo. The same number is the
   * same write.
   */
  save(input: {
    readonly key: PartitionKey
    readonly fence: number
    readonly write: number
    readonly state: PartitionState
    readonly nowMs: number
    readonly lease:
      | { readonly kind: 'renew'; readonly untilMs: number }
      | { readonly kind: 'release' }
  }): Promise<'saved' | 'lease-lost'>
  /**
   * Leaves a partition that is not released to a lease of its own, which is over when `leaseMs`
   * have passed since it was last stored: for a run that has ended while its worker lives on. The
   * next owner recovers it. `lease-lost`: another owner acquired the lease; nothing was written.
   */
  leave(input: LeaseOf): Promise<'left' | 'lease-lost'>
}

/** `live`: it ends at `untilMs` unless it is renewed. `had-ended`: also when there is no row. */
export type EndDeclared =
  | { readonly kind: 'ended-now' }
  | { readonly kind: 'had-ended' }
  | { readonly kind: 'live'; readonly untilMs: number }

/** `ended`: it was declared ended, or its row is gone. Both are final. */
export type Renewal =
  | { readonly kind: 'renewed'; readonly assigned: readonly AssignedPartition[] }
  | { readonly kind: 'ended' }

/**
 * The rows of workers. Each write means the same when it is applied twice. The end of a worker is
 * declared once and is final: nothing makes its row live again, and an absent row has ended too.
 */
export type WorkerStore = {
  /** The rows of the workers of a flow, and no checkpoint. */
  list(flow: string): Promise<ListedWorkers>
  /**
   * Reserves rows for workers that are about to be invoked, until `untilMs`, on condition that the
   * roster still has the version that the listing showed. `overtaken`: another tick reserved
   * workers in between, and nothing was written. At most `reservedWorkersMax` ids.
   */
  reserve(input: {
    readonly flow: string
    readonly roster: number
    readonly ids: readonly string[]
    readonly nowMs: number
    readonly untilMs: number
  }): Promise<'reserved' | 'overtaken'>
  /**
   * Names the successor of a worker and reserves its row, together. `refused`: the worker has
   * ended, or it has a successor already.
   */
  reserveSuccessor(
    input: WorkerKey & {
      readonly successor: string
      readonly nowMs: number
      readonly untilMs: number
    },
  ): Promise<'reserved' | 'refused'>
  /**
   * Begins a run as this worker. With `isReserved` it claims the row that was reserved, otherwise
   * it creates one. `refused`: another run has claimed it, it was declared ended, or a reserved row
   * is gone. `run` is unique to the run, so that a repeated sending of its own claim is known.
   */
  begin(
    input: WorkerKey & {
      readonly isReserved: boolean
      readonly run: string
      readonly role: WorkerRole
      /** Lambda's request id; null elsewhere. */
      readonly invocation: string | null
      readonly nowMs: number
      readonly untilMs: number
    },
  ): Promise<'begun' | 'refused'>
  /**
   * Renews the lease of all that the worker holds, in one write. `renewal` numbers the renewals of
   * the run from 1: a first sending that arrives after a later renewal changes nothing. `taken`:
   * assigned partitions that the worker has seen; they are removed from the answer.
   */
  renew(
    input: WorkerKey & {
      readonly run: string
      readonly renewal: number
      readonly nowMs: number
      readonly untilMs: number
      readonly partitions: number
      readonly taken: readonly AssignedPartition[]
    },
  ): Promise<Renewal>
  /**
   * Gives partitions to a worker that runs. `refused`: it is not live, has a successor, has not
   * begun, or has `assignedPartitionsMax` that it has not taken.
   */
  assign(
    input: WorkerKey & {
      readonly partitions: readonly AssignedPartition[]
      readonly nowMs: number
    },
  ): Promise<'assigned' | 'refused'>
  /** `if-expired`: only when the lease is over or was dated by a clock that is far ahead. */
  declareEnded(
    input: WorkerKey & { readonly nowMs: number; readonly when: 'if-expired' | 'in-any-case' },
  ): Promise<EndDeclared>
  /** Deletes the row of a run that ends in order. A row that is not this run's stays. */
  end(input: WorkerKey & { readonly run: string }): Promise<void>
  /** Deletes the row of a worker that ended, or whose lease was over, before `endedBeforeMs`. */
  sweep(input: WorkerKey & { readonly endedBeforeMs: number }): Promise<'swept' | 'kept'>
}

export type IncidentStore = {
  /**
   * Stores an incident: an open one among the open ones, an ended one in the history, from which it
   * expires after `incidentsKeptDays`. When it is detected again under the same id (after a crash
   * between storing it and moving past it), its evidence and resolution are updated and the time of
   * its first detection stays. `overtaken`: another owner has acquired the lease under which the
   * incident was detected, and nothing was stored. Otherwise a run that was frozen would, when it
   * wakes, record an incident from an outdated position.
   */
  record(incident: Incident, foundUnder?: LeaseOf): Promise<'recorded' | 'overtaken'>
  /** Ends an open incident. An incident that has ended already keeps its resolution. */
  resolve(input: {
    readonly flow: string
    readonly id: string
    readonly resolution: Exclude<Resolution, 'open'>
    readonly nowMs: number
    /** Where replication continued, when that is beyond the found offset. */
    readonly foundOffset?: SourceOffset
    readonly lostRecordsMax?: bigint
  }): Promise<void>
  /** Lists the incidents of a flow. A corrupt row is listed apart and hides none of the others. */
  list(flow: string, which: 'open' | 'all'): Promise<ListedIncidents>
  /** The incident with this id, open or ended, as a list of one; empty when there is none. */
  find(key: IncidentKey): Promise<ListedIncidents>
}
