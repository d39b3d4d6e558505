// Owns moving the log start of a partition: DeleteRecords v2 (API 21, KIP-107), which needs Delete
// on the topic and `delete` in its cleanup.policy. The leader answers once its live replicas have
// the new log start. Does not own why records are deleted (run/pad).

import { type Connection, deleteRecordsV2 } from '@platformatic/kafka'
import { errorName } from '../../kafka/error-codes.ts'

export type DeletedRecords =
  | { readonly kind: 'deleted' }
  | { readonly kind: 'error'; readonly errorName: string }

export type DeleteRecordsRequest = {
  readonly topic: string
  readonly partition: number
  /** Records before it are deleted; one before the log start deletes nothing. */
  readonly offset: bigint
}

/** How long the leader may wait for its replicas, ms; below the timeout of the request itself. */
const REPLICAS_MS = 10_000

export async function deleteRecords(
  onLeader: <T>(request: (on: Connection) => Promise<T>) => Promise<T>,
  { topic: name, partition: partitionIndex, offset }: DeleteRecordsRequest,
): Promise<DeletedRecords> {
  const asked = [{ name, partitions: [{ partitionIndex, offset }] }]
  const { topics } = await onLeader(on => deleteRecordsV2.api.async(on, asked, REPLICAS_MS))
  const code = topics[0]?.partitions[0]?.errorCode ?? -1
  return code === 0 ? { kind: 'deleted' } : { kind: 'error', errorName: errorName(code) }
}
