// The memory stores with an ordered record of the calls, and with faults: for tests of when
// something is stored, and of what follows when the store fails.

import { positionOf } from '../../../lib/core/partition/partition-state.ts'
import type { CheckpointStore, IncidentStore } from '../../../lib/io/table/stores.ts'

export type StoreCall =
  | {
      readonly kind: 'incident'
      readonly id: string
      readonly incident: string
      readonly foreignRecordsMax: string | null
    }
  | { readonly kind: 'resolved'; readonly id: string }
  | {
      readonly kind: 'checkpoint'
      readonly partition: number
      readonly state: string
      readonly nextSourceOffset: bigint | null
      readonly nextTargetOffset: bigint | null
      readonly lease: 'renew' | 'release'
    }

/** Runs before each call; may wait, and may throw instead of the call. */
export type StoreFault = (call: StoreCall) => Promise<void>

export function watchStores(
  stores: { readonly checkpoints: CheckpointStore; readonly incidents: IncidentStore },
  fault: StoreFault = async () => undefined,
) {
  const calls: StoreCall[] = []
  const checkpoints: CheckpointStore = {
    ...stores.checkpoints,
    save: async input => {
      const position = positionOf(input.state)
      const call: StoreCall = {
        kind: 'checkpoint',
        partition: input.key.partition,
        state: input.state.kind,
        nextSourceOffset: position?.nextSourceOffset ?? null,
        nextTargetOffset: position?.nextTargetOffset ?? null,
        lease: input.lease.kind,
      }
      await fault(call)
      const saved = await stores.checkpoints.save(input)
      if (saved === 'saved') calls.push(call)
      return saved
    },
  }
  const incidents: IncidentStore = {
    ...stores.incidents,
    record: async (incident, foundUnder) => {
      const call: StoreCall = {
        kind: 'incident',
        id: incident.id,
        incident: incident.kind,
        foreignRecordsMax: incident.evidence.foreignRecordsMax ?? null,
      }
      await fault(call)
      const recorded = await stores.incidents.record(incident, foundUnder)
      if (recorded === 'recorded') calls.push(call)
      return recorded
    },
    resolve: async input => {
      await fault({ kind: 'resolved', id: input.id })
      await stores.incidents.resolve(input)
      calls.push({ kind: 'resolved', id: input.id })
    },
  }
  return { checkpoints, incidents, calls }
}
