// Owns the interfaces to durable state: checkpoints with their leases, and incidents. One
// implementation writes to DynamoDB (checkpoint-store.ts, incident-store.ts); the tests have one in
// memory. A checkpoint is one conditional write of one item, so it works on every emulator and
// costs one request; only incidents are stored in transactions.

import type { Incident, Resolution } from '../../core/incident.ts'
import type { SourceOffset } from '../../core/offset.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { Checkpoint, ListedCheckpoints, PartitionKey } from '../../core/row/checkpoint.ts'
import type { IncidentKey, ListedIncidents } from '../../core/row/incident-row.ts'

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
    }
  /** Another owner's lease is live until `untilMs` (Unix time, ms). */
  | { readonly kind: 'held'; readonly owner: string; readonly untilMs: number }

/** The lease of a partition: valid until another owner acquires it and the fence grows. */
export type LeaseOf = { readonly key: PartitionKey; readonly fence: number }

export type CheckpointStore = {
  /** Lists every row of a flow. A corrupt row is listed apart and hides none of the others. */
  list(flow: string): Promise<ListedCheckpoints>
  /** Throws `CorruptRowError`, as `acquire` does: there is no other row to return. */
  get(key: PartitionKey): Promise<Checkpoint | null>
  /**
   * Acquires the lease of a partition when it was never held, was released, or has expired; creates
   * the row in state `unstarted` when there is none. The fence grows by one with every acquisition.
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
}

export type IncidentStore = {
  /**
   * Stores an incident: an open one among the open ones, an ended one in the history, from which it
   * expires after `incidentKeptMs`. When it is detected again under the same id (after a crash
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
