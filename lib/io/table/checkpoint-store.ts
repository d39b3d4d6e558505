// Owns checkpoints and leases in DynamoDB. Every write is one conditional UpdateItem of one row.
// Does not own what the attributes mean (core/row/checkpoint.ts) nor what is retried
// (dynamodb-client.ts).
//
// The SDK sends a write again when its response was lost, so a write that is applied twice must
// mean the same as one:
//
//   acquire   The second one finds a live lease that is our own and returns it as acquired. The row
//             says how the first one found the lease (previousLeaseUntilMs).
//   save      The second one finds our fence and writes the same again. If the first one released
//             the lease and another owner acquired it before the second, the outcome is
//             `lease-lost` although the state is stored; the new owner has read it.
//   late      A save that arrives after a newer one of the same owner is refused, because the row's
//             `writes` is higher by then.

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { assert } from '../../core/assert.ts'
import { leaseBelievedUntilMs } from '../../core/replicate/budget.ts'
import {
  type Checkpoint,
  checkpointKey,
  checkpointPrefix,
  type ListedCheckpoints,
  leaseDatedAheadMs,
  leaseWasFree,
  type PartitionKey,
  readCheckpoint,
  readCheckpoints,
  readLeaseHolder,
  stateAttributes,
} from '../../core/row/checkpoint.ts'
import type { Row } from '../../core/row/row.ts'
import type { CheckpointStore } from './stores.ts'
import { getRow, listRows, type TableTarget, updateRow } from './table-request.ts'
import { namesOf, updateExpression, valuesOf } from './update-expression.ts'

export function createCheckpointStore(client: DynamoDBClient, table: string): CheckpointStore {
  const target = { client, table }
  return {
    list: flow => listCheckpoints(target, flow),
    get: key => getCheckpoint(target, key),
    acquire: input => acquireLease(target, input),
    save: input => saveCheckpoint(target, input),
  }
}

async function listCheckpoints(target: TableTarget, flow: string): Promise<ListedCheckpoints> {
  const purpose = `listing the checkpoints of flow ${flow}`
  return readCheckpoints(await listRows(target, purpose, { flow, prefix: checkpointPrefix }))
}

async function getCheckpoint(target: TableTarget, key: PartitionKey): Promise<Checkpoint | null> {
  const row = await getRow(target, `reading the checkpoint of ${nameOf(key)}`, checkpointKey(key))
  return row === null ? null : readCheckpoint(row)
}

// DynamoDB evaluates the right sides against the row before the update: previousLeaseUntilMs
// becomes the previous leaseUntilMs.
const acquireExpression =
  'SET #owner = :owner, #leaseUntilMs = :leaseUntilMs, #targetTopic = :targetTopic, ' +
  '#previousLeaseUntilMs = if_not_exists(#leaseUntilMs, :free), #updatedAtMs = :nowMs, ' +
  '#state = if_not_exists(#state, :unstarted), #writes = :free ADD #fence :one'

const acquireNames = namesOf([
  'owner',
  'leaseUntilMs',
  'targetTopic',
  'previousLeaseUntilMs',
  'updatedAtMs',
  'state',
  'writes',
  'fence',
])

type AcquireInput = Parameters<CheckpointStore['acquire']>[0]

async function acquireLease(
  target: TableTarget,
  { key, targetTopic, owner, nowMs, leaseMs }: AcquireInput,
): ReturnType<CheckpointStore['acquire']> {
  assert(nowMs > 0 && leaseMs > 0, `lease of ${leaseMs} ms from ${nowMs}`)
  const outcome = await updateRow(target, `taking the lease of ${nameOf(key)}`, {
    Key: checkpointKey(key),
    UpdateExpression: acquireExpression,
    // The condition is also true when there is no row.
    ConditionExpression:
      'attribute_not_exists(#leaseUntilMs) OR #leaseUntilMs <= :nowMs OR #leaseUntilMs > :believedUntilMs',
    ExpressionAttributeNames: acquireNames,
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
  })
  const { row } = outcome
  assert(row !== null, 'DynamoDB refused a lease without the row that holds it')
  if (outcome.kind === 'refused') {
    const holder = readLeaseHolder(row)
    assert(holder.untilMs !== null, 'DynamoDB refused a lease that is free')
    // Owners are unique to a run, so our own lease is that of a write whose response was lost.
    if (holder.owner !== owner) {
      return { kind: 'held', owner: holder.owner, untilMs: holder.untilMs, lease: 'own' }
    }
  }
  const datedAheadMs = leaseDatedAheadMs(row, nowMs)
  return {
    kind: 'acquired',
    checkpoint: readCheckpoint(row),
    cleanHandOver: leaseWasFree(row),
    ...(datedAheadMs === null ? {} : { datedAheadMs }),
  }
}

async function saveCheckpoint(
  target: TableTarget,
  { key, fence, write, state, nowMs, lease }: Parameters<CheckpointStore['save']>[0],
): ReturnType<CheckpointStore['save']> {
  const { present, absent } = stateAttributes(state)
  const renewed: Row = lease.kind === 'renew' ? { leaseUntilMs: { N: String(lease.untilMs) } } : {}
  const update = updateExpression({
    set: {
      ...present,
      ...renewed,
      updatedAtMs: { N: String(nowMs) },
      writes: { N: String(write) },
    },
    remove: lease.kind === 'release' ? [...absent, 'leaseUntilMs'] : absent,
  })
  const outcome = await updateRow(target, `saving the checkpoint of ${nameOf(key)}`, {
    ...update,
    Key: checkpointKey(key),
    // The fence grows with every acquisition, so one fence is one owner. The condition leaves out
    // the expiry: a lease that ran out and that no other owner acquired is still ours.
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
  return outcome.kind === 'updated' ? 'saved' : 'lease-lost'
}

function nameOf({ flow, topic, partition }: PartitionKey): string {
  return `${topic}-${partition} (flow ${flow})`
}
