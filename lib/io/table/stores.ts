// Owns what the loops may ask of durable state: checkpoints with their leases, and incidents.
// One implementation writes to DynamoDB (checkpoint-store.ts, incident-store.ts); the tests
// have one in memory. Every write is one conditional write of one item, so it works on every
// emulator and costs one request; only an incident is stored together with a check of a second one.

import type { Incident, Resolution } from '../../core/incident.ts'
import type { SourceOffset } from '../../core/offset.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { Checkpoint, ListedCheckpoints, PartitionKey } from '../../core/row/checkpoint.ts'
import type { ListedIncidents } from '../../core/row/incident-row.ts'

export type Acquisition =
  | {
      readonly kind: 'acquired'
      /** The row as it is now, with our owner and fence. */
      readonly checkpoint: Checkpoint
      /** True when nobody held the lease before, or its owner released it in good order. */
      readonly cleanHandOver: boolean
    }
  /** Somebody else's lease is live until `untilMs` (ms since the epoch). */
  | { readonly kind: 'held'; readonly owner: string; readonly untilMs: number }

/** The lease of a partition, as long as nobody has taken it over. */
export type LeaseOf = { readonly key: PartitionKey; readonly fence: number }

export type CheckpointStore = {
  /** Every row of a flow; a corrupt one is said beside the others and hides none of them. */
  list(flow: string): Promise<ListedCheckpoints>
  /** Throws `CorruptRowError`, as `acquire` does: there the row is all that was asked for. */
  get(key: PartitionKey): Promise<Checkpoint | null>
  /**
   * Takes the lease of a partition when it was never held, was released, or has expired; creates
   * the row in state `unstarted` when there is none. The fence grows by one with every acquisition.
   * `owner` is unique to a run: the holder of a live lease that asks again gets the lease it has,
   * since its first answer was lost.
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
   * `lease-lost`: another owner took over; nothing was written. `write` counts the owner's writes
   * from 1: a client sends again what was not answered, and a first sending that arrives at last,
   * behind later writes, must not undo them. The same number again is the same write.
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
   * Stores an incident. Found again under the same id (a crash between storing it and moving past
   * it): what was found and its resolution are updated, the time it was first detected stays.
   * `overtaken`: somebody else has taken over the lease under which it was found, and nothing was
   * stored; what a frozen run finds when it wakes is told from a position of long ago.
   */
  record(incident: Incident, foundUnder?: LeaseOf): Promise<'recorded' | 'overtaken'>
  /** Ends an open incident; one that has ended already keeps how it ended. */
  resolve(input: {
    readonly flow: string
    readonly id: string
    readonly resolution: Exclude<Resolution, 'open'>
    readonly nowMs: number
    /** Where replication went on, when that is further than what was found. */
    readonly foundOffset?: SourceOffset
    readonly lostRecordsMax?: bigint
  }): Promise<void>
  /** Every incident of a flow; a corrupt row is said beside the others and hides none of them. */
  list(flow: string, which: 'open' | 'all'): Promise<ListedIncidents>
}
