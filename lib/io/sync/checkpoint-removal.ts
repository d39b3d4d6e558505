// Owns removing the checkpoints of a topic that exists on neither side any more. Does not own the
// other writes of checkpoints (table/checkpoint-store.ts), nor when a topic is forgotten
// (core/sync/deletion.ts).

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type Checkpoint, checkpointKey } from '../../core/row/checkpoint.ts'
import { writeTogether } from '../table/table-request.ts'
import { namesOf, valuesOf } from '../table/update-expression.ts'

export type CheckpointRemoval = {
  /**
   * Removes the row of a waiting partition, if nobody has acquired or changed it since it was read.
   * `changed`: nothing was removed.
   */
  removeWaiting(checkpoint: Checkpoint): Promise<'removed' | 'changed'>
}

export function createCheckpointRemoval(client: DynamoDBClient, table: string): CheckpointRemoval {
  const target = { client, table }
  return {
    async removeWaiting(checkpoint) {
      const { flow, topic, partition, state, lease } = checkpoint
      if (state.kind !== 'waiting') return 'changed'
      const unchanged = {
        state: { S: state.kind },
        incidentId: { S: state.incidentId },
        sourceTopicId: { S: state.position.sourceTopicId },
        targetTopicId: { S: state.position.targetTopicId },
        fence: { N: String(lease.fence) },
      }
      const names = Object.keys(unchanged)
      const conditions = [
        'attribute_not_exists(#leaseUntilMs)',
        ...names.map(each => `#${each} = :${each}`),
      ]
      // A transaction of one row: the functions may delete rows in no other way (infra/roles.yml).
      const purpose = `forgetting partition ${topic}-${partition} of flow ${flow}`
      const outcome = await writeTogether(target, purpose, [
        {
          remove: {
            Key: checkpointKey(checkpoint),
            ConditionExpression: conditions.join(' AND '),
            ExpressionAttributeNames: namesOf(['leaseUntilMs', ...names]),
            ExpressionAttributeValues: valuesOf(unchanged),
          },
        },
      ])
      return outcome.kind === 'written' ? 'removed' : 'changed'
    },
  }
}
