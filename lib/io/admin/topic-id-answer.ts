// Owns asking every broker of a cluster whether it knows a topic id (Metadata v12, KIP-516). One
// broker alone may lag behind the others. Does not own what follows from the answer
// (core/sync/deletion.ts).

import { metadataV12 } from '@platformatic/kafka'
import type { IdAnswer } from '../../core/sync/deletion.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { uuidFromTopicId } from '../../kafka/topic-id.ts'
import type { OpenedCluster } from '../cluster/cluster.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'

export type AskedCluster = { readonly brokers: Pick<OpenedCluster['brokers'], 'onEvery'> }

/** `gone` only when every broker of the cluster answered that it knows no such id. */
export async function askForTopicId({ brokers }: AskedCluster, topicId: string): Promise<IdAnswer> {
  const asked = [{ topicId: uuidFromTopicId(topicId) }]
  try {
    const { answers, failures } = await brokers.onEvery(on =>
      metadataV12.api.async(on, asked, false, false),
    )
    const errors = answers.flatMap(({ topics }) => topics.map(each => errorName(each.errorCode)))
    if (errors.includes('NONE')) return { kind: 'exists' }
    const [failure] = failures
    if (failure !== undefined) return { kind: 'unknown', detail: failure.message }
    // A broker that names no topic at all has answered nothing.
    const isComplete = answers.length > 0 && answers.every(({ topics }) => topics.length === 1)
    const other = errors.find(each => each !== 'UNKNOWN_TOPIC_ID')
    if (isComplete && other === undefined) return { kind: 'gone' }
    return { kind: 'unknown', detail: `Metadata answered ${other ?? 'nothing'}` }
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    return { kind: 'unknown', detail: error.message }
  }
}
