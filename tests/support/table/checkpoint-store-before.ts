// The requests by which the version before workers acquires, saves and lists checkpoints, word by
// word: for tests of a table that both versions use at once. Knows nothing of workers.

import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import { leaseBelievedUntilMs } from '../../../lib/core/replicate/budget.ts'
import { checkpointKey, stateAttributes } from '../../../lib/core/row/checkpoint.ts'
import type { CheckpointStore } from '../../../lib/io/table/stores.ts'
import { namesOf, updateExpression, valuesOf } from '../../../lib/io/table/update-expression.ts'

type AcquireInput = Omit<Parameters<CheckpointStore['acquire']>[0], 'lease'>
type SaveInput = Parameters<CheckpointStore['save']>[0]

export function createStoreBefore(client: DynamoDBClient, table: string) {
  return {
    async acquire({ key, targetTopic, owner, nowMs, leaseMs }: AcquireInput) {
      const command = new UpdateItemCommand({
        TableName: table,
        Key: checkpointKey(key),
        UpdateExpression:
          'SET #owner = :owner, #leaseUntilMs = :leaseUntilMs, #targetTopic = :targetTopic, ' +
          '#previousLeaseUntilMs = if_not_exists(#leaseUntilMs, :free), #updatedAtMs = :nowMs, ' +
          '#state = if_not_exists(#state, :unstarted), #writes = :free ADD #fence :one',
        ConditionExpression:
          'attribute_not_exists(#leaseUntilMs) OR #leaseUntilMs <= :nowMs OR #leaseUntilMs > :believedUntilMs',
        ExpressionAttributeNames: namesOf([
          ...['owner', 'leaseUntilMs', 'targetTopic', 'previousLeaseUntilMs', 'updatedAtMs'],
          ...['state', 'writes', 'fence'],
        ]),
        ExpressionAttributeValues: valuesOf({
          owner: { S: owner },
          leaseUntilMs: { N: String(nowMs + leaseMs) },
          targetTopic: { S: targetTopic },
          nowMs: { N: String(nowMs) },
          believedUntilMs: { N: String(leaseBelievedUntilMs(nowMs, { leaseMs })) },
          free: { N: '0' },
          one: { N: '1' },
          unstarted: { S: 'unstarted' },
        }),
        ReturnValues: 'ALL_NEW',
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      })
      try {
        const { Attributes: row = {} } = await client.send(command)
        const wasFree = row.previousLeaseUntilMs?.N === '0'
        return { kind: 'acquired', fence: Number(row.fence?.N), cleanHandOver: wasFree } as const
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) throw error
        return { kind: 'held', owner: error.Item?.owner?.S } as const
      }
    },

    async save({ key, fence, write, state, nowMs, lease }: SaveInput) {
      const { present, absent } = stateAttributes(state)
      const renewed = lease.kind === 'renew' ? { leaseUntilMs: { N: String(lease.untilMs) } } : {}
      const written = { updatedAtMs: { N: String(nowMs) }, writes: { N: String(write) } }
      const update = updateExpression({
        set: { ...present, ...renewed, ...written },
        remove: lease.kind === 'release' ? [...absent, 'leaseUntilMs'] : absent,
      })
      const command = new UpdateItemCommand({
        ...update,
        TableName: table,
        Key: checkpointKey(key),
        ConditionExpression: '#fence = :fence AND #writes <= :write',
        ExpressionAttributeNames: {
          ...update.ExpressionAttributeNames,
          ...namesOf(['fence', 'writes']),
        },
        ExpressionAttributeValues: {
          ...update.ExpressionAttributeValues,
          ...valuesOf({ fence: { N: String(fence) }, write: { N: String(write) } }),
        },
      })
      try {
        await client.send(command)
        return 'saved'
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) throw error
        return 'lease-lost'
      }
    },

    /** The sort keys that it lists. */
    async list(flow: string): Promise<string[]> {
      const command = new QueryCommand({
        TableName: table,
        ConsistentRead: true,
        KeyConditionExpression: '#pk = :flow AND begins_with(#sk, :prefix)',
        ExpressionAttributeNames: namesOf(['pk', 'sk']),
        ExpressionAttributeValues: valuesOf({ flow: { S: flow }, prefix: { S: 'checkpoint/' } }),
      })
      const { Items = [] } = await client.send(command)
      return Items.map(each => each.sk?.S ?? '')
    },
  }
}
