// Owns asking a cluster whether it would take markers that do not come from a transaction
// coordinator. WriteTxnMarkers needs Alter or ClusterAction on the cluster, and writes into any
// topic then; Kafka has no request that tells such a right of ours. So one marker is sent for a
// topic that no cluster can have: a broker that would take it knows no such topic, one that would
// not says so first (KafkaApis.handleWriteTxnMarkersRequest). Does not own the markers of a
// partition (run/produce/txn-markers.ts).

import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { errorName } from '../../kafka/error-codes.ts'

export type MarkerRight =
  | { readonly kind: 'granted' }
  | { readonly kind: 'refused'; readonly why: string }

/** Names of topics hold no slash (Topic.LEGAL_CHARS). */
const noTopic = {
  ...{ producerId: 0n, producerEpoch: 0, coordinatorEpoch: 0 },
  ...{ topic: 'gapless/no-topic', partition: 0, count: 1 },
}

/** A broker that does not know the request closes the connection, which refuses it as well. */
export async function askForMarkerRight(
  cluster: Pick<Cluster, 'writeTxnMarkers'>,
  leaderId: number,
): Promise<MarkerRight> {
  try {
    const { partitions } = await cluster.writeTxnMarkers(leaderId, noTopic)
    const why = errorName(partitions[0]?.errorCode ?? -1)
    return why === 'UNKNOWN_TOPIC_OR_PARTITION' ? { kind: 'granted' } : { kind: 'refused', why }
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    return { kind: 'refused', why: error.message }
  }
}
