// Owns asking the leader of a partition for its active producers: DescribeProducers v0 (API 61,
// KIP-664), which needs Read on the topic. Does not own whose transaction is hung
// (core/watch/hung-transaction.ts).

import { type Connection, describeProducersV0 } from '@platformatic/kafka'
import { errorName } from '../../kafka/error-codes.ts'

export type ActiveProducer = {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** The first offset of its open transaction; null: it has none. */
  readonly transactionStartOffset: bigint | null
}

export type ActiveProducers =
  | { readonly kind: 'described'; readonly producers: readonly ActiveProducer[] }
  | { readonly kind: 'error'; readonly errorName: string }

export async function describeProducers(
  onLeader: <T>(request: (on: Connection) => Promise<T>) => Promise<T>,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): Promise<ActiveProducers> {
  const asked = [{ name: topic, partitionIndexes: [partition] }]
  const { topics } = await onLeader(on => describeProducersV0.api.async(on, asked))
  const answer = topics[0]?.partitions[0]
  if (answer === undefined) return { kind: 'error', errorName: 'no partition' }
  if (answer.errorCode !== 0) return { kind: 'error', errorName: errorName(answer.errorCode) }
  const producers = answer.activeProducers.map(each => ({
    producerId: each.producerId,
    producerEpoch: each.producerEpoch,
    transactionStartOffset: each.currentTxnStartOffset < 0n ? null : each.currentTxnStartOffset,
  }))
  return { kind: 'described', producers }
}
