// The two writes of a checkpoint store, with defaults for the arguments that a test does not set.

import type { CheckpointStore } from '../../../lib/io/table/stores.ts'
import { partitionKey, replicating } from './store-examples.ts'

/** The default time of `acquire`, Unix time, ms. */
export const t0 = 1_700_000_000_000
export const leaseMs = 20_000

type Asked = Partial<Parameters<CheckpointStore['acquire']>[0]>
type Saved = Partial<Parameters<CheckpointStore['save']>[0]> & { fence: number }

export function actionsOn(checkpoints: () => CheckpointStore) {
  return {
    acquire: ({ owner = 'run-1', nowMs = t0, key = partitionKey(), ...rest }: Asked = {}) =>
      checkpoints().acquire({
        key,
        targetTopic: rest.targetTopic ?? `primary.${key.topic}`,
        owner,
        nowMs,
        leaseMs,
        ...(rest.lease === undefined ? {} : { lease: rest.lease }),
      }),
    save: (change: Saved) =>
      checkpoints().save({
        key: partitionKey(),
        write: 1,
        state: replicating,
        nowMs: t0 + 1,
        lease: { kind: 'renew', untilMs: t0 + 1 + leaseMs },
        ...change,
      }),
  }
}
